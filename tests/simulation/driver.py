"""The client's side of a simulated connection: what psycopg2 would give, as far as the service uses it."""

from typing import Any, Self

import psycopg2
from psycopg2 import extensions

from tests.simulation.database import DETECTED_S, Database
from tests.simulation.process import Process
from tests.simulation.tables import Row


class Cursor:
    """The little of a cursor that the service uses."""

    def __init__(self, connection: "SimulatedConnection") -> None:
        self._connection = connection
        self.description: tuple[str, ...] | None = ("rows",)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept."""

    def execute(self, statement: str, given: Any = None) -> None:
        """Send a statement; the wait for its answer is `poll`."""
        self._connection.send(statement, tuple(given or ()))

    def fetchall(self) -> list[Row]:
        """Return what the last statement found."""
        return self._connection.found


class SimulatedConnection:
    """The client's side of a connection: what psycopg2 would give."""

    def __init__(self, database: Database, process: Process, name: str, *, is_autocommit: bool) -> None:
        self._database = database
        self._backend = database.connect(process, name)
        self._backend.is_autocommit = is_autocommit
        self._sent: tuple[str, Row] | None = None
        self.found: list[Row] = []
        self.closed = 0
        self.notices: list[str] = []
        process.at_death.append(lambda: self._die())

    @property
    def info(self) -> "SimulatedConnection":
        """What psycopg2 tells about a connection is told by itself here."""
        return self

    @property
    def transaction_status(self) -> int:
        """Whether a transaction is open."""
        is_open = self._backend.pending is not None
        return extensions.TRANSACTION_STATUS_INTRANS if is_open else extensions.TRANSACTION_STATUS_IDLE

    def cursor(self) -> Cursor:
        """Return a cursor."""
        return Cursor(self)

    def send(self, statement: str, given: Row) -> None:
        """Send a statement; one that opened transactions also waits, as psycopg2 does then."""
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")
        self._sent = statement, given
        if not self._backend.is_autocommit:
            self.poll()

    def poll(self) -> int:
        """Wait for the answer to what was sent; a lost connection is closed by it."""
        if self._sent is not None:
            (statement, given), self._sent = self._sent, None
            try:
                self.found = self._database.ask(self._backend, statement, given)
            except psycopg2.OperationalError:
                self.close()
                raise
        return extensions.POLL_OK

    def commit(self) -> None:
        """Commit what is open; in autocommit nothing is, and nothing is sent."""
        if not self._backend.is_autocommit:
            self.send("COMMIT", ())

    def close(self) -> None:
        """Hang up."""
        if not self.closed:
            self.closed = 1
            self._database.hang_up(self._backend)

    def _die(self) -> None:
        """Let the server notice that the process has died: at once, or, where its machine did, by silence."""
        delay_s = DETECTED_S if self._backend.process.is_machine_lost else 0.0003
        self._database.world.after(delay_s, lambda: self._database.end(self._backend))
