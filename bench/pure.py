"""Book and engine in this process, with no serialisation, wire or database; it only calls `bench.core` and prints."""

from collections.abc import Sequence

from bench import core
from bench.budgets import BOOK, ENGINE
from bench.report import Figure, Round, column

RESTING = 1_000
COMMANDS = 200_000


def rounds(runs: int) -> list[Round]:
    """Measure each in turn, `runs` times."""
    load = core.workload(RESTING, COMMANDS)
    return [
        {
            "book": core.book_rate(load),
            "engine": core.engine_rate(load),
            "serialisation": core.serialisation_rate(load),
            "state hash": core.state_hash_rate(load),
        }
        for _ in range(runs)
    ]


def figures(found: Sequence[Round]) -> list[Figure]:
    """Return the table's lines."""
    book = column(found, "book")
    return [
        Figure("book alone", "commands/s", book, budget=BOOK),
        Figure("engine, batches of 100", "commands/s", column(found, "engine"), book, "book alone", ENGINE),
        Figure("serialisation and chain hash", "commands/s", column(found, "serialisation")),
        Figure("full hash, kept up to date", "commands/s", column(found, "state hash")),
    ]
