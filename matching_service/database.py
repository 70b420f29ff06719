"""The service's own connections to the writer: direct, each named, none of them ever waiting without a deadline."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection
from psycopg2.sql import Composed

CONNECT_TIMEOUT_S = 3


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a statement may run, a transaction wait for its next statement, and we for an answer."""

    statement_ms: int = 10_000
    idle_ms: int = 1_000
    patience_s: float = 5.0


SERVING = Deadlines()
LOADING = Deadlines(statement_ms=120_000, idle_ms=120_000, patience_s=125.0)
"""For those who only read much, or set up: they hold no lock that a leader waits for."""


BY_INDEX = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""A leader's statements find rows by their keys: planned once a connection, and so also on tables still empty then."""


class Patient(Connection):
    """A connection on which `execute` only sends; the wait for the answer is ours, and `patience_s` bounds it.

    Nothing else would bound the wait for a server that is stopped, or for a commit's standby: the network is well.
    """

    patience_s = LOADING.patience_s


def connect(url: str, password: str, application_name: str, deadlines: Deadlines = SERVING) -> Connection:
    """Open a connection in autocommit, for `rows`.

    Keepalives and `tcp_user_timeout` give up on a cut-off server after about two seconds, as FAULTS measured.
    """
    connection: Patient = psycopg2.connect(
        url, async_=True, connection_factory=Patient, **_arguments(password, application_name, deadlines)
    )
    connection.patience_s = deadlines.patience_s
    finish(connection, CONNECT_TIMEOUT_S)
    return connection


def connect_in_transactions(url: str, password: str, application_name: str) -> Connection:
    """Open a connection that commits only when told: for failpoints between a statement and its commit."""
    connection: Connection = psycopg2.connect(url, **_arguments(password, application_name, SERVING))
    return connection


def finish(connection: Connection, seconds: float) -> None:
    """Wait for what was sent; raise `OperationalError`, the connection being closed, when that takes too long."""
    until = time.monotonic() + seconds
    try:
        while (state := connection.poll()) != extensions.POLL_OK:
            _await(connection, state, until)
    except psycopg2.Error as error:
        if error.pgcode is None:  # it is not about the statement
            connection.close()
        raise


def _await(connection: Connection, state: int, until: float) -> None:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise psycopg2.OperationalError("the database did not answer in time")
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
    poller.poll(left_s * 1000)


def _arguments(password: str, application_name: str, deadlines: Deadlines) -> dict[str, Any]:
    options = (
        f"-c statement_timeout={deadlines.statement_ms} -c idle_in_transaction_session_timeout={deadlines.idle_ms}"
    )
    return {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives": 1,
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "tcp_user_timeout": 2000,
        "options": options + (BY_INDEX if deadlines is SERVING else ""),
    } | ({"password": password} if password else {})


@contextmanager
def opened(url: str, password: str, application_name: str, deadlines: Deadlines = SERVING) -> Iterator[Connection]:
    """Open a connection for one piece of work and close it after."""
    connection = connect(url, password, application_name, deadlines)
    try:
        yield connection
    finally:
        connection.close()


def rows(connection: Connection, statement: str | Composed, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        finish(connection, connection.patience_s if isinstance(connection, Patient) else LOADING.patience_s)
        return cursor.fetchall() if cursor.description else []


def wait(connection: Connection, seconds: float) -> None:
    """Wait until a notification arrives that this connection listens for, and forget it; no longer than `seconds`."""
    if not connection.notifies:
        select.select([connection], [], [], seconds)
    connection.poll()
    connection.notifies.clear()
