"""One seed from its beginning to its verdict: tasks, clients, faults, healing, and every check of what came of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import psycopg2

from exchange.commands import Journaled
from matching_service import journal, seed
from matching_service.engine import Engine
from matching_service.journal import JournalRow
from matching_service.tables import TableRows
from tests.checkers.history import history_problems
from tests.checkers.journal import JournalRow as CheckedRow
from tests.checkers.journal import journal_problems
from tests.checkers.truth import truth_of
from tests.simulation import clients
from tests.simulation.clients import Network, Trader
from tests.simulation.database import Database
from tests.simulation.driver import SimulatedConnection
from tests.simulation.faults import Faults
from tests.simulation.node import Node, connecting
from tests.simulation.process import Process
from tests.simulation.tables import CELL
from tests.simulation.world import World

HEALED_S = 90.0
"""By then everything that was asked must have been answered."""
TIMES = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed; equal seeds have equal digests."""

    seed: int
    digest: str
    problems: list[str]
    calls: int
    resends: int
    counts: dict[str, int]
    failpoints: set[str] = field(default_factory=set)  # those at which a process died


def run(number: int, change: Callable[[Database], None] = lambda _: None) -> Outcome:
    """Run one seed; `change` may make the database worse than it promises to be."""
    world = World(number)
    with simulated(world) as database:
        change(database)
        _begin(database)
        network = Network(world)
        nodes = [Node(world, f"task-{place}") for place in range(world.chance.choice((1, 2, 2, 3)))]
        traders = [Trader(world, network, nodes, database, name) for name in seed.TRADERS]
        faults = Faults(world, nodes, database, network)
        for node in nodes:
            node.start(faults.drawn_failpoint())
        process, tasks = clients.start(traders, world, TIMES)
        faults.plan()
        is_done = world.run(lambda: len(tasks) == len(traders) and all(task.done() for task in tasks), HEALED_S)
        problems = [] if is_done else ["I12: not every call was answered long after everything was healed"]
        problems += [f"a bug: {bug}" for node in nodes for bug in node.bugs]
        problems += [
            f"a bug: {error!r}"
            for loop in (process.loop, *(node.process.loop for node in nodes))
            for error in loop.errors
        ]
        problems += [f"a bug: {task.exception()!r}" for task in tasks if task.done() and task.exception()]
        problems += _problems(database, traders)
        digest = world.digest()
        for each in (process, *(node.process for node in nodes)):
            each.crash("the run is over")
        world.run(lambda: False, world.passed_s)
    calls, resends = sum(len(trader.calls) for trader in traders), sum(trader.resends for trader in traders)
    reached = {name for node in nodes for name in node.reached()}
    return Outcome(number, digest, problems, calls, resends, world.counts, reached)


@contextmanager
def simulated(world: World) -> Iterator[Database]:
    """Let time and the database's driver be the world's for the length of the block."""
    database = Database(world)
    clock, driver = cast(Any, time), cast(Any, psycopg2)
    kept = clock.monotonic, clock.monotonic_ns, clock.sleep, driver.connect

    def pause(seconds: float) -> None:
        job = Process.job
        assert job is not None, "only blocking code sleeps"
        job.block(lambda back: world.after(seconds, lambda: back(lambda: None)))

    clock.monotonic, clock.monotonic_ns, clock.sleep = (lambda: world.now_s), (lambda: world.now_ns), pause
    driver.connect = connecting(partial(SimulatedConnection, database))
    try:
        yield database
    finally:
        clock.monotonic, clock.monotonic_ns, clock.sleep, driver.connect = kept


def _begin(database: Database) -> None:
    """Let the seed of a new exchange be the first batch."""
    engine, at = Engine(CELL), database.now_us()
    commands = seed.commands(CELL, "local")
    journaled = [Journaled(place, at, command) for place, command in enumerate(commands, 1)]
    events = [engine.apply(entry.command, entry.time) for entry in journaled]
    none = TableRows(**dict.fromkeys(TableRows.__struct_fields__, ""))
    batch = journal.batch_of(CELL, 1, journal.GENESIS, journaled, events, none)
    database.tables.add(
        JournalRow(
            first_sequence=1,
            last_sequence=len(journaled),
            batch_id="the seed",
            epoch=1,
            version=journal.VERSION,
            rules_version=journal.RULES_VERSION,
            last_time=at,
            commands_json=batch.commands_json.decode(),
            events_json=batch.events_json.decode(),
            chain=batch.chain,
            state_hash=None,
        )
    )


def _problems(database: Database, traders: list[Trader]) -> Iterator[str]:
    """Check the journal, and what clients were told against it."""
    tables = database.tables
    yield from tables.problems
    if tables.problems:
        return
    checked = [
        CheckedRow(
            CELL, row.first_sequence, row.last_sequence, row.batch_id, row.epoch, row.last_time, row.commands_json,
            row.events_json, row.chain,
        )
        for row in tables.journal
    ]  # fmt: skip
    yield from journal_problems(checked, (tables.epoch, tables.last_sequence))
    truth = truth_of(CELL, (entry for row in tables.journal for entry in row.journaled()))
    yield from history_problems(truth, [call for trader in traders for call in trader.calls])
