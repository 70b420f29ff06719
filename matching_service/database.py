"""The service's own connections to the writer: direct, each named, none of them ever waiting without a deadline."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

CONNECT_TIMEOUT_S = 3


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a statement may run, and a transaction wait for its next statement."""

    statement_ms: int = 10_000
    idle_ms: int = 1_000


SERVING = Deadlines()
LOADING = Deadlines(statement_ms=120_000, idle_ms=120_000)
"""For those who only read much, or set up: they hold no lock that a leader waits for."""


BY_INDEX = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""A leader's statements find rows by their keys: planned once a connection, and so also on tables still empty then."""


def connect(url: str, password: str, application_name: str, deadlines: Deadlines = SERVING) -> Connection:
    """Open a connection in autocommit.

    Keepalives and `tcp_user_timeout` give up on a cut-off server after about two seconds, as FAULTS measured.
    """
    arguments: dict[str, Any] = {"password": password} if password else {}
    options = (
        f"-c statement_timeout={deadlines.statement_ms} -c idle_in_transaction_session_timeout={deadlines.idle_ms}"
    )
    connection: Connection = psycopg2.connect(
        url,
        application_name=application_name,
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives=1,
        keepalives_idle=1,
        keepalives_interval=1,
        keepalives_count=2,
        tcp_user_timeout=2000,
        options=options + (BY_INDEX if deadlines is SERVING else ""),
        **arguments,
    )
    connection.autocommit = True
    return connection


@contextmanager
def opened(url: str, password: str, application_name: str, deadlines: Deadlines = SERVING) -> Iterator[Connection]:
    """Open a connection for one piece of work and close it after."""
    connection = connect(url, password, application_name, deadlines)
    try:
        yield connection
    finally:
        connection.close()


def rows(connection: Connection, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def wait(connection: Connection, seconds: float) -> None:
    """Wait until a notification arrives that this connection listens for, and forget it; no longer than `seconds`."""
    if not connection.notifies:
        select.select([connection], [], [], seconds)
    connection.poll()
    connection.notifies.clear()
