"""The append-only truth: one row a batch, chained by hash and committed with all that the batch changed.

It decides nothing: what a batch holds is the engine's, whether it may be written is the fence's.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from msgspec import Struct
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection

from exchange import commands, events
from exchange.commands import Journaled
from exchange.events import Event
from matching_service.database import finish, rows
from matching_service.failpoints import NONE, Failpoints
from matching_service.tables import TableRows

VERSION = 1
RULES_VERSION = 1
KNOWN_RULES = frozenset({1})
"""The rules that this build can apply: the current ones, and the next once they are written."""
FENCED = "EX001"
READ_ONLY = "25006"
RESEND_PAUSE_S = 0.05
COMMIT_S = 2.0
"""A batch without an answer for this long is in doubt: its server is stopped, or its commit waits for a standby."""
GENESIS = bytes(32)
"""The chain before the first batch."""

_COMMIT = (
    "SELECT commit_batch(%s, %s, %s, %s, %s::uuid, %s::smallint, %s::smallint, %s, %s, %s, %s, %s,"
    " %s::new_order[], %s::changed_order[], %s::traded[], %s::changed_balance[], %s::order_detail[],"
    " %s::changed_volume[], %s::jsonb)"
)
_WITH_POSITIONS = ", write_stream_positions(%s, %s::json)"
_COLUMNS = (
    "first_sequence, last_sequence, batch_id::text, epoch, version, rules_version, last_time, commands, events,"
    " chain, state_hash"
)
_LOST_WAIT = "canceling wait for synchronous replication"


class Fenced(Exception):  # noqa: N818 - it is an order to step down, not a fault
    """Another leader has the cell: nothing was written, and nothing more will be."""


class Doubtful(Exception):  # noqa: N818
    """The connection was lost: whether the batch is in the journal is not known yet."""


class CopyLost(Exception):  # noqa: N818
    """The batch is committed here but perhaps on no copy: it must not be acknowledged, and its leader steps down."""


class Batch(Struct, frozen=True):
    """What one transaction commits; `commands_json` and `events_json` are the canonical bytes of the chain."""

    cell: int
    epoch: int
    batch_id: str
    journaled: list[Journaled]
    events: list[list[Event]]
    commands_json: bytes
    events_json: bytes
    chain: bytes
    state_hash: bytes | None
    tables: TableRows
    stream_positions: str | None = None

    @property
    def first_sequence(self) -> int:
        """The sequence of the first command."""
        return self.journaled[0].sequence

    @property
    def last_sequence(self) -> int:
        """The sequence of the last command."""
        return self.journaled[-1].sequence


class JournalRow(Struct, frozen=True):
    """One row as it was read back."""

    first_sequence: int
    last_sequence: int
    batch_id: str
    epoch: int
    version: int
    rules_version: int
    last_time: int
    commands_json: str
    events_json: str
    chain: bytes
    state_hash: bytes | None

    def journaled(self) -> list[Journaled]:
        """Decode the commands."""
        return commands.journaled_decoder.decode(self.commands_json)

    def events(self) -> list[list[Event]]:
        """Decode the events, one list a command."""
        return events.events_decoder.decode(self.events_json)


def chain_after(previous: bytes, commands_json: bytes, events_json: bytes) -> bytes:
    """Return BLAKE2b-256 of the previous chain and the canonical bytes: commands, a newline, events."""
    return hashlib.blake2b(b"".join((previous, commands_json, b"\n", events_json)), digest_size=32).digest()


def batch_of(
    cell: int,
    epoch: int,
    previous_chain: bytes,
    journaled: list[Journaled],
    batch_events: list[list[Event]],
    tables: TableRows,
    state_hash: bytes | None = None,
    stream_positions: str | None = None,
) -> Batch:
    """Encode and chain what was matched; `journaled` is not empty and without gaps."""
    commands_json = commands.encoder.encode(journaled)
    events_json = events.encoder.encode(batch_events)
    chain = chain_after(previous_chain, commands_json, events_json)
    batch_id = str(uuid.uuid4())
    return Batch(
        cell, epoch, batch_id, journaled, batch_events, commands_json, events_json, chain, state_hash, tables,
        stream_positions,
    )  # fmt: skip


def commit(connection: Connection, batch: Batch, insert: Callable[[Connection, Batch], None] | None = None) -> None:
    """Write a batch in one round trip and one transaction.

    Raise `Fenced` when another leads, `Doubtful` when the outcome is unknown; any other `psycopg2.Error` is a
    definite failure that changed nothing.
    """
    try:
        (insert or _run)(connection, batch)
        if connection.info.transaction_status == extensions.TRANSACTION_STATUS_INTRANS:
            connection.commit()
    except psycopg2.Error as error:
        if error.pgcode == FENCED:
            raise Fenced(str(error)) from None
        if _is_lost(connection, error):
            raise Doubtful(str(error)) from error
        raise
    if any(_LOST_WAIT in notice for notice in connection.notices):
        raise CopyLost("the wait for the synchronous copy was canceled")


class Writer:
    """The one connection that commits batches; it settles what became of a batch when the connection is lost."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        deadline_s: float,
        failpoints: Failpoints = NONE,
        connection: Connection | None = None,
    ) -> None:
        """Begin with `connection`, where one is given that `connect` would give."""
        self.connect = connect
        self.insert = failpoints.around("insert", _run)
        self.deadline_s = deadline_s
        self.connection = connection or connect()
        self.is_closed = False

    def commit(self, batch: Batch) -> None:
        """Commit a batch, sending it again whole while its outcome is unknown, until the deadline.

        Raise `Fenced`, `Doubtful` (still unknown at the deadline), `CopyLost` or the definite `psycopg2.Error`.
        """
        give_up_at = time.monotonic() + self.deadline_s
        is_resent = False
        while True:
            try:
                return self._attempt(batch, is_resent)
            except Doubtful:
                self.connection.close()
                if self.is_closed or time.monotonic() > give_up_at:
                    raise
            is_resent = True
            time.sleep(RESEND_PAUSE_S)

    def close(self) -> None:
        """Send nothing more."""
        self.is_closed = True
        self.connection.close()

    def _attempt(self, batch: Batch, is_resent: bool) -> None:
        try:
            if self.connection.closed:
                self.connection = self.connect()
            commit(self.connection, batch, self.insert)
        except Fenced:
            if not (is_resent and is_committed(self.connection, batch)):
                raise
        except psycopg2.OperationalError as error:
            if not _is_lost(self.connection, error):
                raise
            raise Doubtful(str(error)) from error


def is_committed(connection: Connection, batch: Batch) -> bool:
    """Tell whether the journal holds this very batch at its place."""
    with connection.cursor() as cursor:
        statement = "SELECT batch_id::text FROM journal WHERE cell = %s AND first_sequence = %s"
        cursor.execute(statement, (batch.cell, batch.first_sequence))
        finish(connection, COMMIT_S)
        return cursor.fetchall() == [(batch.batch_id,)]


def row_holding(connection: Connection, cell: int, sequence: int) -> JournalRow | None:
    """Return the row whose batch holds `sequence`, or None."""
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM journal WHERE cell = %s AND first_sequence <= %s"  # noqa: S608 - a constant list
        " ORDER BY first_sequence DESC LIMIT 1",
        (cell, sequence),
    )
    row = _row(found[0]) if found else None
    return row if row and row.last_sequence >= sequence else None


def rows_after(connection: Connection, cell: int, sequence: int, most: int) -> list[JournalRow]:
    """Return up to `most` rows that begin after `sequence`, oldest first."""
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM journal WHERE cell = %s AND first_sequence > %s"  # noqa: S608
        " ORDER BY first_sequence LIMIT %s",
        (cell, sequence, most),
    )
    return [_row(values) for values in found]


def last_row(connection: Connection, cell: int) -> JournalRow | None:
    """Return the newest row of the cell, or None in an empty journal."""
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM journal WHERE cell = %s ORDER BY first_sequence DESC LIMIT 1",  # noqa: S608
        (cell,),
    )
    return _row(found[0]) if found else None


def _row(values: Sequence[Any]) -> JournalRow:
    first, last, batch_id, epoch, version, rules, last_time, commands_json, events_json, chain, state_hash = values
    full_hash = None if state_hash is None else bytes(state_hash)
    return JournalRow(
        first, last, batch_id, epoch, version, rules, last_time, commands_json, events_json, bytes(chain), full_hash
    )


def _run(connection: Connection, batch: Batch) -> None:
    tables, positions = batch.tables, batch.stream_positions
    with connection.cursor() as cursor:
        cursor.execute(
            _COMMIT if positions is None else _COMMIT + _WITH_POSITIONS,
            (
                batch.cell,
                batch.epoch,
                batch.first_sequence,
                batch.last_sequence,
                batch.batch_id,
                VERSION,
                RULES_VERSION,
                batch.journaled[-1].time,
                batch.commands_json.decode(),
                batch.events_json.decode(),
                batch.chain,
                batch.state_hash,
                tables.entered_orders,
                tables.changed_orders,
                tables.trades,
                tables.balances,
                tables.details,
                tables.volumes,
                tables.rare,
                *(() if positions is None else (batch.cell, positions)),
            ),
        )
        finish(connection, COMMIT_S)


def _is_lost(connection: Connection, error: psycopg2.Error) -> bool:
    """Tell a lost connection or a server going down (class 57P, 08) from a statement that definitely failed.

    A server that may only be read was the primary once: a new connection finds the one that is now.
    """
    if error.pgcode == READ_ONLY:
        return True
    if not isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return False
    return bool(connection.closed) or error.pgcode is None or error.pgcode[:3] in {"57P", "080"}
