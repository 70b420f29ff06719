"""`python -m tests.chaos`: does the rows of the fault matrix to running systems and prints what came of it."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg2
from botocore.exceptions import BotoCoreError

import exchange.errors
from client import credentials
from local.probes import free_port
from tests.chaos.checks import copy_problems, problems
from tests.chaos.clock import clock_variables
from tests.chaos.field import Field, Result, Violation, result_of
from tests.chaos.recording import trading
from tests.chaos.rows import ROWS, Row
from tests.chaos.stores import stores
from tests.e2e.system import NotPrinted, start

TRADERS = ("alice", "bob", "maker") * 2
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
        _played(name, row, given.seed, max(1, round(row.times * given.times)))
        for name, row in ROWS.items()
        if (not wanted or any(part in name for part in wanted)) and not _is_skipped(name, row)
    ]
    return 1 if not results or any(result.problems for result in results) else 0


def _is_skipped(name: str, row: Row) -> bool:
    if row.missing:
        _say(f"| {name} | the local run does not know {row.missing} yet |")
    return bool(row.missing)


def _played(name: str, row: Row, seed: str, times: int) -> Result:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    result = _result(name, row, seed, times, folder)
    _say("| " + " | ".join(result.cells()) + " |")
    for problem in result.problems[:20]:
        _say(f"  {name}: {problem}")
    if result.problems:
        _say(f"  the state is kept in {folder}; again: make chaos ROWS={name} SEED={seed}")
    else:
        shutil.rmtree(folder)
    return result


def _result(name: str, row: Row, seed: str, times: int, folder: Path) -> Result:
    chance = random.Random(f"{seed}/{name}")
    with _staged(row, chance, times, folder) as field:
        try:
            with trading(credentials.read(field.system.credentials_path), f"{seed}-{name}", TRADERS) as traders:
                field.traders = traders
                row.play(field)
        except (Violation, NotPrinted, AssertionError) as error:
            field.problems.append(str(error).splitlines()[0])
        try:
            found = problems(field.system, field.all_calls()) + copy_problems(field.system)
        except (OSError, psycopg2.Error, BotoCoreError, exchange.errors.Unavailable) as error:
            found = [f"I15: the system could not be asked: {error!r}"]
        if field.problems or found:
            (folder / "output.txt").write_text("\n".join(field.system.output.lines))
        return result_of(name, field, found)


@contextmanager
def _staged(row: Row, chance: random.Random, times: int, folder: Path) -> Iterator[Field]:
    """Run a system as the row wants it, and leave nothing of it running."""
    with ExitStack() as stage:
        given = stage.enter_context(stores(folder / "stores")) if row.has_proxies else None
        variables = dict(row.needs) | (given.variables if given else {})
        if row.failpoint:
            variables["FAILPOINT"] = row.failpoint.format(nth=chance.randint(*row.nth))
        clock = folder / "clock" if row.has_clock else None
        if clock is not None:
            variables |= clock_variables(clock)
        field = Field(start(folder / "state", free_port(set()), variables), chance, times, stores=given, clock=clock)
        try:
            yield field
        finally:
            with field.system.process as process:
                if process.poll() is None:
                    field.system.stop()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    began = time.monotonic()
    code = main(sys.argv[1:])
    _say(f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores")
    sys.exit(code)
