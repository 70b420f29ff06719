"""`python -m tests.chaos`: does the rows of the fault matrix to running systems and prints what came of it."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.field import Result
from tests.chaos.playing import played
from tests.chaos.rows import ROWS, Row

HEADINGS = (
    "row", "faults", "requests", "acknowledged", "rejected", "unknown, then resolved", "lost", "duplicated",
    "outage p50 ms", "p99", "max", "other violations",
)  # fmt: skip


def main(words: list[str]) -> int:
    """Play the selected rows; return 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default="1", help="the same seed draws the same faults")
    parser.add_argument("--rows", default="", help="names separated by commas; a part of a name will do; or `list`")
    parser.add_argument("--times", type=float, default=1.0, help="do each fault this many times as often")
    given = parser.parse_args(words)
    if given.rows == "list":
        for name, row in ROWS.items():
            _say(f"{name:24}{row.times:4} x  {row.says}" + (f" (needs {row.missing})" if row.missing else ""))
        return 0
    wanted = [part for part in given.rows.split(",") if part]
    _say(f"seed {given.seed}")
    _say("| " + " | ".join(HEADINGS) + " |")
    _say("|" + "---|" * len(HEADINGS))
    results = [
        _shown(name, given.seed, max(1, round(row.times * given.times)))
        for name, row in ROWS.items()
        if (not wanted or any(part in name for part in wanted)) and not _is_skipped(name, row)
    ]
    return 1 if not results or any(result.problems for result in results) else 0


def _is_skipped(name: str, row: Row) -> bool:
    if row.missing:
        _say(f"| {name} | the local run does not know {row.missing} yet |")
    return bool(row.missing)


def _shown(name: str, seed: str, times: int) -> Result:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    result = played(name, seed, times, folder)
    _say("| " + " | ".join(result.cells()) + " |")
    for problem in result.problems[:20]:
        _say(f"  {name}: {problem}")
    if result.problems:
        _say(f"  the state is kept in {folder}; again: make chaos ROWS={name} SEED={seed}")
    else:
        shutil.rmtree(folder)
    return result


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    began = time.monotonic()
    code = main(sys.argv[1:])
    _say(f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores")
    sys.exit(code)
