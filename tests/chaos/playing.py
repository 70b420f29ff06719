"""One row from its start to what came of it: a system of its own, traders, the faults, and every check after them."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg2
from botocore.exceptions import BotoCoreError

import exchange.errors
from client import credentials
from local.probes import free_port
from tests.chaos.checks import copy_problems, problems
from tests.chaos.field import Field, Result, Violation, result_of
from tests.chaos.recording import trading
from tests.chaos.rows import ROWS, Row
from tests.chaos.stores import stores
from tests.e2e.system import NotPrinted, start

TRADERS = ("alice", "bob", "maker") * 2


def played(name: str, seed: str, times: int, folder: Path) -> Result:
    """Play a row on a fresh system in `folder`; every violation is in the result."""
    row = ROWS[name]
    chance = random.Random(f"{seed}/{name}")
    with _staged(row, chance, times, folder) as field:
        try:
            with trading(credentials.read(field.system.credentials_path), f"{seed}-{name}", TRADERS) as traders:
                field.traders = traders
                row.play(field)
        except (Violation, NotPrinted, AssertionError) as error:
            field.problems.append(" | ".join(str(error).splitlines())[-600:])
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
        field = Field(start(folder / "state", free_port(set()), variables), chance, times, stores=given)
        try:
            yield field
        finally:
            with field.system.process as process:
                if process.poll() is None:
                    field.system.stop()
