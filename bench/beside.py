"""Our core beside other matching engines on the same workload, in turn within one run; it judges nobody."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import core, pure
from bench.system import ROOT

RIVALS = ROOT / ".venv-rivals" / "bin" / "python"
RUN_S = 600.0


def rates(path: Path) -> dict[str, float]:
    """Return the rates of the other engines on the workload in `path`."""
    command = (str(RIVALS), "-m", "bench.rivals", str(path))
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=RUN_S)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(words: list[str]) -> None:
    """Measure all in turn and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("--resting", type=int, default=1_000)
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args(words)
    load = core.workload(given.resting, given.commands)
    found: list[dict[str, float]] = []
    with TemporaryDirectory(prefix="exchange-rivals-") as folder:
        path = Path(folder) / "workload.json"
        core.write(load, path)
        for _ in range(given.runs):
            ours = {"book": core.book_rate(load), "engine": core.engine_rate(load)} | pure.compiled_rates()
            found.append({f"ours, {name}": rate for name, rate in ours.items()} | rates(path))
    print(f"{given.resting:,} resting, {given.commands:,} commands, medians of {given.runs} runs, commands/s")
    engine = median(one["ours, engine"] for one in found)
    for name in found[0]:
        rate = median(one[name] for one in found)
        print(f"  {name:44} {rate:>12,.0f}   {rate / engine:5.2f} of our plain engine")


if __name__ == "__main__":
    main(sys.argv[1:])
