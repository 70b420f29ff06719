"""The matching service: the long-running task that leads a cell; it serves no HTTP."""
