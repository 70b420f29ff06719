"""Bare PostgreSQL with the statements of the matching service: batches matched beforehand, then only committed.

It is the limit of durable commands: the server, tables and call of the service, without engine, wire and look-up.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from bench.workload import CELL, Workload, listings
from exchange.commands import Command, Journaled
from matching_service import journal, migrations
from matching_service.engine import Engine
from matching_service.journal import Batch
from matching_service.tables import RowWriter

SIZES = (100, 500)
FIRST_BATCH = 500
EPOCH = 1
TIME_US = 1_800_000_000_000_000
STEP_US = 100
"""Engine time between two batches; any steady clock would do."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One batch as the text of its call, and how many commands it commits."""

    commands: int
    statement: bytes


class Matcher:
    """An engine that turns commands into batches ready to be committed, one after another."""

    def __init__(self) -> None:
        self._engine = Engine(CELL)
        self._rows = RowWriter(self._engine.market, self._engine.asset)
        self._chain = journal.GENESIS
        self._time = TIME_US

    def batches(self, commands: Iterable[Command], size: int) -> Iterator[Batch]:
        """Yield the batches of `size` commands that hold `commands`."""
        waiting = iter(commands)
        while taken := list(islice(waiting, size)):
            yield self._batch(taken)

    def _batch(self, commands: Sequence[Command]) -> Batch:
        self._time += STEP_US
        journaled, events = [], []
        for command in commands:
            events.append(self._engine.apply(command, self._time))
            journaled.append(Journaled(self._engine.sequence, self._time, command))
        rows = self._rows.rows_of(journaled, events, self._engine.take_changes())
        batch = journal.batch_of(CELL, EPOCH, self._chain, journaled, events, rows)
        self._chain = batch.chain
        return batch


def rate(url: str, size: int, commands: int) -> float:
    """Return how many commands a second a new database of the server at `url` commits in batches of `size`."""
    workload, matcher = Workload(), Matcher()
    with new_database(url) as connection:
        migrations.migrate(connection)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO fence VALUES (%s, %s, 0)", (CELL, EPOCH))
        for beginning in (listings(), workload.accounts(), workload.depth()):
            for batch in matcher.batches(beginning, FIRST_BATCH):
                journal.commit(connection, batch)
        prepared = [
            Prepared(len(batch.journaled), statement_of(connection, batch))
            for batch in matcher.batches(workload.mixed(commands), size)
        ]
        return _committed(connection, prepared)


def statement_of(connection: Connection, batch: Batch) -> bytes:
    """Return the whole call that commits a batch, as the journal would send it."""
    recorded: list[bytes] = []

    class Recorder(psycopg2.extensions.cursor):
        def execute(self, query: str | bytes | sql.Composable, vars: Any = None) -> None:  # noqa: A002
            recorded.append(self.mogrify(query, vars))

    usual, connection.cursor_factory = connection.cursor_factory, Recorder
    try:
        journal.commit(connection, batch)
    finally:
        connection.cursor_factory = usual
    return recorded[0]


def _committed(connection: Connection, prepared: Sequence[Prepared]) -> float:
    with connection.cursor() as cursor:
        begin = time.perf_counter()
        for batch in prepared:
            cursor.execute(batch.statement)
        seconds = time.perf_counter() - begin
    return sum(batch.commands for batch in prepared) / seconds


def url_of(connection: Connection, url: str) -> str:
    """Return `url` with the database that `connection` is connected to."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{connection.info.dbname}"))


@contextmanager
def new_database(url: str) -> Iterator[Connection]:
    """Create a database beside that of `url`, yield a connection to it, and drop it after."""
    name = f"bench_{time.time_ns()}"
    owner = psycopg2.connect(url)
    owner.autocommit = True
    try:
        with owner.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection = psycopg2.connect(url, dbname=name)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()
            with owner.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        owner.close()
