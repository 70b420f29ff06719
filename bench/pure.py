"""Book and engine, with no serialisation, wire or database: the plain modules here, the compiled ones in a process."""

import json
import subprocess
import sys
from collections.abc import Sequence

from bench import core
from bench.budgets import BOOK, ENGINE
from bench.report import Figure, Round, column
from bench.system import ROOT

RESTING = 1_000
COMMANDS = 200_000
COMPILED = ROOT / ".compiled"
COMPILED_S = 300.0


def rounds(runs: int) -> list[Round]:
    """Measure each in turn, `runs` times."""
    load = core.workload(RESTING, COMMANDS)
    return [
        {
            "book": core.book_rate(load),
            "engine": core.engine_rate(load),
            **compiled_rates(),
            "serialisation": core.serialisation_rate(load),
            "state hash": core.state_hash_rate(load),
        }
        for _ in range(runs)
    ]


def compiled_rates() -> dict[str, float]:
    """Measure the modules as the image has them; nothing where they are not made."""
    if not (COMPILED / "made").exists():
        return {}
    variables = f"PYTHONPATH={COMPILED}:{ROOT}"
    command = ("/usr/bin/env", variables, sys.executable, "-P", "-m", "bench.core", "--rates")
    sizes = ("--resting", str(RESTING), "--commands", str(COMMANDS))
    done = subprocess.run((*command, *sizes), check=True, capture_output=True, text=True, timeout=COMPILED_S)
    return {f"compiled {name}": rate for name, rate in json.loads(done.stdout).items()}


def figures(found: Sequence[Round]) -> list[Figure]:
    """Return the table's lines."""
    book = column(found, "book")
    lines = [
        Figure("book alone", "commands/s", book, budget=BOOK),
        Figure("engine, batches of 100", "commands/s", column(found, "engine"), book, "book alone", ENGINE),
    ]
    if "compiled book" in found[0]:
        compiled, engine = column(found, "compiled book"), column(found, "compiled engine")
        lines += [
            Figure("book alone, compiled", "commands/s", compiled, book, "the plain book", BOOK),
            Figure("engine, compiled", "commands/s", engine, column(found, "engine"), "the plain engine", ENGINE),
        ]
    return [
        *lines,
        Figure("serialisation and chain hash", "commands/s", column(found, "serialisation")),
        Figure("full hash, kept up to date", "commands/s", column(found, "state hash")),
    ]
