"""One connection to PostgreSQL, autocommit, read only in practice: every wait has a deadline kept on this side.

Works through RDS Proxy: no SET, no startup options, no prepared statements. What a server-side `statement_timeout`
would do is done by waiting for the socket ourselves, at most `STATEMENT_TIMEOUT_S`, and dropping the connection then.
"""

import select
import time
from collections.abc import Callable
from typing import Any, Protocol

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection

from exchange.errors import Unavailable

CONNECT_TIMEOUT_S = 2.0
STATEMENT_TIMEOUT_S = 3.0
IMPATIENT_S = 0.5
PAUSE_S = 0.5
"""After a failed connect nothing is tried for this long."""
LIVENESS: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 2000,
}

Rows = list[tuple[Any, ...]]


class Readable(Protocol):
    """What can be asked for rows."""

    def rows(self, statement: str, *parameters: Any) -> Rows:
        """Return all rows of one statement; raise `DatabaseAway` when it cannot be had."""


class DatabaseAway(Unavailable):
    """The database did not answer in time, or not at all; what only reads has changed nothing."""

    def __init__(self, detail: str):
        super().__init__("The database cannot be read now.", execution="none")
        self.cause = detail


class Database:
    """The one connection of an environment, opened on first use and replaced when it fails."""

    def __init__(
        self,
        url: str,
        password: str = "",
        clock: Callable[[], float] = time.monotonic,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    ):
        self._url = url
        self._password = password
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._paused_until = 0.0
        self._connection: Connection | None = None

    def rows(self, statement: str, *parameters: Any) -> Rows:
        """Return all rows of one statement; raise `DatabaseAway` when it cannot be had.

        A connection found dead is replaced and the statement, which only reads, run once more.
        """
        return self._asked(statement, parameters, self._connect_timeout_s, self._statement_timeout_s)

    def rows_within(self, seconds: float, statement: str, *parameters: Any) -> Rows:
        """Do the same for those who cannot wait: neither a connection nor an answer for longer than this."""
        return self._asked(statement, parameters, seconds, seconds)

    def close(self) -> None:
        """Close the connection; the next statement opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, statement: str, parameters: tuple[Any, ...], connect_s: float, answer_s: float) -> Rows:
        is_kept = self._connection is not None
        try:
            return self._rows(statement, parameters, connect_s, answer_s)
        except psycopg2.Error as error:
            self._lost(error)
            if not is_kept or isinstance(error, _TooLate):
                raise DatabaseAway(str(error).strip()) from None
        try:
            return self._rows(statement, parameters, connect_s, answer_s)
        except psycopg2.Error as error:
            self._lost(error)
            raise DatabaseAway(str(error).strip()) from None

    def _lost(self, error: psycopg2.Error) -> None:
        """Drop the connection; raise `error` again where it is about the statement, which is a bug."""
        self.close()
        if error.pgcode is not None and not isinstance(error, psycopg2.OperationalError):
            raise error

    def _rows(self, statement: str, parameters: tuple[Any, ...], connect_s: float, answer_s: float) -> Rows:
        connection = self._connection or self._connect(connect_s)
        cursor = connection.cursor()
        cursor.execute(statement, parameters or None)
        self._wait(connection, answer_s)
        return cursor.fetchall()

    def _connect(self, timeout_s: float) -> Connection:
        """Connect without blocking, which is also what makes every wait ours; such a connection is in autocommit."""
        if self._clock() < self._paused_until:
            raise psycopg2.OperationalError("asked too soon after a failure")
        self._paused_until = self._clock() + PAUSE_S
        options = {**LIVENESS, "password": self._password} if self._password else LIVENESS
        connection: Connection = psycopg2.connect(self._url, async_=True, **options)
        try:
            self._wait(connection, timeout_s)
        except psycopg2.OperationalError:
            connection.close()
            raise
        self._paused_until = 0.0
        self._connection = connection
        return connection

    def _wait(self, connection: Connection, timeout_s: float) -> None:
        until = self._clock() + timeout_s
        while (state := connection.poll()) != extensions.POLL_OK:
            left_s = until - self._clock()
            if left_s <= 0:
                raise _TooLate("the database did not answer in time")
            poller = select.poll()
            poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
            poller.poll(left_s * 1000)


class Impatient:
    """A database's connection for those who have something better to do than to wait for it."""

    def __init__(self, database: Database, timeout_s: float):
        self._database = database
        self._timeout_s = timeout_s

    def rows(self, statement: str, *parameters: Any) -> Rows:
        """Return all rows of one statement; raise `DatabaseAway` soon when it cannot be had."""
        return self._database.rows_within(self._timeout_s, statement, *parameters)


class _TooLate(psycopg2.OperationalError):
    """The deadline passed."""
