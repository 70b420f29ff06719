"""A database of two real servers behind one address, kept by the keeper of the local run in a thread of the test."""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection

from local import postgres, probes
from local.databases import alone, replicated
from local.edge import listening_socket
from local.roles import NODES, Roles, roles_of
from local.settings import inherited
from local.state import State
from local.supervisor import Supervisor
from tests.until import until

START_S = 60.0


@dataclass(slots=True)
class Databases:
    """The running pair: one address, and what may be done to each of the two."""

    folder: Path
    password: str
    port: int
    ports: dict[str, int]
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address that clients know."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The owner's way to one port."""
        return f"postgresql://{postgres.OWNER}:{quote(self.password)}@127.0.0.1:{port}/{postgres.DATABASE}"

    @property
    def roles(self) -> Roles:
        """Who is the primary, and whether the other is fit to follow it."""
        return roles_of(self.folder)

    @property
    def standby(self) -> str:
        """The name of the server that is not the primary."""
        return next(name for name in NODES if name != self.roles.primary)

    def pid(self, name: str) -> int:
        """The process of a server, or of the endpoint."""
        document: dict[str, int] = json.loads((self.folder / "processes.json").read_text())
        return document[name]

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a server and, since they have groups of their own, to each of its children."""
        pid = self.pid(name)
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for each in (pid, *children):
            os.kill(each, number)

    def send_alone(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a server alone: its children see for themselves what became of it."""
        os.kill(self.pid(name), number)

    def until_fit(self, seconds: float = 60.0) -> None:
        """Wait until the standby has everything and would be promoted."""
        assert until(lambda: self.roles.is_promotable, seconds), self.said

    def connected(self, name: str = "") -> Connection:
        """Connect to one of the servers itself, or to whichever is the primary."""
        connection: Connection = psycopg2.connect(self.url_at(self.ports.get(name, self.port)), connect_timeout=10)
        connection.autocommit = True
        return connection

    def value(self, statement: str, name: str = "") -> object:
        """Return the one value of a statement."""
        with closing(self.connected(name)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else [(None,)]
        return found[0][0]


@contextmanager
def databases(folder: Path) -> Iterator[Databases]:
    """Run a primary and its standby on a state folder for the length of a block."""
    listener = listening_socket("127.0.0.1", 0)

    async def start(given: Databases, state: State, supervisor: Supervisor) -> Awaitable[None]:
        of_all = (state, state.secrets(), supervisor, inherited(), listener, list(given.ports.values()))
        return (await replicated(*of_all, given.said.append)).keep()

    with contextlib.closing(listener), _running(folder, listener.getsockname()[1], start) as running:
        yield running


@contextmanager
def database_alone(folder: Path) -> Iterator[Databases]:
    """Run one server on a state folder, as the local run does without REPLICATED=1."""
    port = probes.free_port(set())

    async def start(given: Databases, state: State, supervisor: Supervisor) -> Awaitable[None]:
        await alone(state, state.secrets(), supervisor, inherited(), given.port)
        return asyncio.Event().wait()  # type: ignore[return-value]

    with _running(folder, port, start) as running:
        yield running


@contextmanager
def _running(
    folder: Path, port: int, start: Callable[[Databases, State, Supervisor], Awaitable[Awaitable[None]]]
) -> Iterator[Databases]:
    state = State(folder)
    state.lock()
    taken = {port}
    ports = {name: probes.free_port(taken) for name in NODES}
    given = Databases(state.folder, state.secrets().owner_password, port, ports)
    started, stopping = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    async def run() -> None:
        supervisor = Supervisor(state, given.said.append)
        try:
            keeping = asyncio.ensure_future(await start(given, state, supervisor))
            started.set()
            await stopping.wait()
            supervisor.stop_restarting()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            await supervisor.stop(("database_endpoint",))
            started.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    try:
        assert started.wait(START_S) and not failures, (failures, given.said)
        yield given
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(30)
        state.release()
        assert not thread.is_alive(), "the databases did not stop"
        loop.close()
