"""Other matching engines of the package registry on the workload of `bench.core`; each in this one environment."""
