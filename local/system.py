"""Brings one whole system up, keeps it up and takes it down; what each process is, `parts` knows."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from local import databases, emulated, parts, postgres, probes, roles, template
from local.children import die_with_parent, own_group
from local.edge import listening_socket
from local.parts import Addresses
from local.settings import Settings, inherited
from local.state import Secrets, State
from local.supervisor import CannotGoOn, Supervisor
from local.template import Wiring

BOOTSTRAP_SECONDS = 180.0
READY_SECONDS = 60.0
FRONT = ("event_sources", "edge")


class System:
    """The parts of one system on one state folder; `up` starts them, `down` leaves none."""

    def __init__(self, settings: Settings, state: State, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._state = state
        self._say = say
        self._secrets: Secrets = state.secrets()
        self._environment = inherited()
        self._taken: set[int] = set()
        self._wiring: Wiring = template.read(Path(settings.template).resolve())
        self._owner: Mapping[str, str] = {}
        self._database_listener: socket.socket | None = None
        self._tasks: list[str] = []
        self._jobs: set[asyncio.subprocess.Process] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.supervisor = Supervisor(state, say)
        try:
            self._front = listening_socket("127.0.0.1", settings.port)
        except OSError as error:
            raise CannotGoOn(f"port {settings.port} cannot be used ({error.strerror}): choose one with PORT") from None
        # Both stay open here, so that clients wait in their backlogs while the edge is started again.
        self._invoke = listening_socket("127.0.0.1", probes.free_port(self._taken))
        self._orders = listening_socket("127.0.0.1", probes.free_port(self._taken))
        self.base_url = f"http://127.0.0.1:{self._front.getsockname()[1]}"

    async def up(self) -> None:
        """Start everything in order; return when orders can be placed. Raise `CannotGoOn` when that is not to be."""
        first = not (roles.primary_data(self._state.folder) / "PG_VERSION").exists()
        addresses, fresh = await self._stores()
        service = parts.service_variables(addresses, self._secrets, self._settings)
        tasks = parts.matching_services(self._settings, service, self._environment, self._taken)
        self._tasks = [task.name for task in tasks]
        self._owner = self._environment | parts.owner_variables(service, addresses, self._secrets)
        orders_port = self._orders.getsockname()[1]
        orders_url = self._settings.aws_endpoint_url or f"http://127.0.0.1:{orders_port}"
        bindings = parts.bindings(addresses, self._secrets, self._settings, orders_url)
        bindings.write(self._state.folder / "bindings.json")
        async with self._step("migrating and seeding the database" if first else "checking the database"):
            await self._bootstrap()
        if not self._settings.aws_endpoint_url:
            fd = self._orders.fileno()
            orders = parts.order_stream(self._state, fd, orders_port, addresses, self._environment)
            await self.supervisor.start(orders)
        async with self._step("starting the matching service and the edge"):
            await asyncio.gather(*(self.supervisor.start(task) for task in tasks), self._edge(addresses))
        async with self._step("waiting until orders are taken"):
            await self._until_ready()
        if fresh and not first:
            self._in_background(self._refill())

    async def down(self) -> None:
        """Stop every process, the edge first and the stores last."""
        for task in self._background:
            task.cancel()
        for job in self._jobs:
            if job.returncode is None:
                job.kill()
        await self.supervisor.stop(FRONT, self._tasks)
        self._front.close()
        self._invoke.close()
        self._orders.close()
        if self._database_listener is not None:
            self._database_listener.close()

    async def _stores(self) -> tuple[Addresses, bool]:
        settings, environment = self._settings, self._environment
        ports = {name: probes.free_port(self._taken) for name in ("postgres", "valkey", "ministack", "osmem")}
        addresses = self._addresses(ports)
        starting = []
        if not settings.redis_url:
            starting.append(parts.valkey(ports["valkey"], self._state, environment))
        if not settings.search_url:
            search = parts.search_server(ports["osmem"], environment)
            starting.append(replace(search, restarted=self._search_was_lost))
        if not settings.aws_endpoint_url:
            emulator = parts.emulator(ports["ministack"], self._state, environment)
            starting.append(replace(emulator, restarted=lambda: self._stream_was_lost(addresses)))
        names = ", ".join(["postgres"] * (not settings.database_url) + [part.name for part in starting])
        async with self._step(f"starting {names}" if names else "using the given stores"):
            await asyncio.gather(
                self._database(addresses, ports["postgres"]), *(self.supervisor.start(part) for part in starting)
            )
            fresh = await self._make_emulated(addresses)
        return addresses, fresh

    def _addresses(self, ports: Mapping[str, int]) -> Addresses:
        settings = self._settings
        owner, password, url = postgres.OWNER, self._secrets.owner_password, ""
        if settings.database_url:
            given = urlsplit(settings.database_url)
            place = given.netloc.rpartition("@")[2]
            owner, password = given.username or owner, given.password or ""
            url = urlunsplit(given._replace(netloc=place))
        return Addresses(
            database_url=url or f"postgresql://127.0.0.1:{ports['postgres']}/{postgres.DATABASE}",
            database_owner=owner,
            owner_password=password,
            redis_url=settings.redis_url or f"redis://127.0.0.1:{ports['valkey']}/0",
            aws_endpoint_url=settings.aws_endpoint_url or f"http://127.0.0.1:{ports['ministack']}",
            search_url=settings.search_url or f"http://127.0.0.1:{ports['osmem']}",
        )

    async def _database(self, addresses: Addresses, port: int) -> None:
        url = addresses.database_as(addresses.database_owner)
        if self._settings.database_url:
            if self._settings.replicated:
                raise CannotGoOn("REPLICATED is about a database of our own: leave DATABASE_URL empty, or REPLICATED")
            if not await postgres.serves(url, addresses.owner_password)():
                who = f"{addresses.database_url} as {addresses.database_owner}"
                raise CannotGoOn(f"DATABASE_URL: no connection to {who}")
            return
        if self._settings.replicated:
            await self._replicated(port)
            return
        await databases.alone(self._state, self._secrets, self.supervisor, self._environment, port)

    async def _replicated(self, port: int) -> None:
        """Start a primary and its standby behind one address, and keep them."""
        listener = self._database_listener = listening_socket("127.0.0.1", port)
        ports = [probes.free_port(self._taken) for _ in roles.NODES]
        of_all = (self._state, self._secrets, self.supervisor, self._environment)
        keeper = await databases.replicated(*of_all, listener, ports, self._say)
        self._in_background(keeper.keep())

    async def _make_emulated(self, addresses: Addresses) -> bool:
        wiring = self._wiring
        return await asyncio.to_thread(emulated.make, addresses.aws_endpoint_url, wiring.streams, wiring.buckets)

    async def _edge(self, addresses: Addresses) -> None:
        fds, invoke_port = (self._front.fileno(), self._invoke.fileno()), self._invoke.getsockname()[1]
        edge = parts.edge(self._settings, self._state, fds, invoke_port, self._environment)
        await self.supervisor.start(edge)
        poller = parts.event_sources(self._settings, self._state, invoke_port, addresses, self._environment)
        await self.supervisor.start(poller)

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        port = self._front.getsockname()[1]
        while (status := await probes.http_status(port, "/v1/ready")) != 200:
            if time.monotonic() > deadline:
                tail = self._state.log_tail("edge")
                raise CannotGoOn(f"GET /v1/ready still answers {status} after {READY_SECONDS:.0f} s: {tail}")
            await asyncio.sleep(0.1)

    async def _bootstrap(self) -> None:
        words = ("--credentials", str(self._state.folder / "credentials.json"), "--base-url", self.base_url, "--resume")
        await self._job("bootstrap", *words)

    async def _refill(self) -> None:
        await self._job("refill")
        self._say("the stream, the archive and the index are being filled again from the journal")

    async def _search_was_lost(self) -> None:
        await self._bootstrap()
        await self._refill()

    async def _stream_was_lost(self, addresses: Addresses) -> None:
        await self._make_emulated(addresses)
        await self.supervisor.restart("order_stream")
        await self.supervisor.restart("event_sources")
        await self._refill()

    async def _job(self, command: str, *words: str) -> None:
        """Run one command of the matching service as the owner of the tables, to its end."""
        with self._state.log_path(command).open("ab") as log:
            job = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "matching_service", command, *words),
                env=dict(self._owner),
                stdout=log,
                stderr=log,
                preexec_fn=_of_its_own,
            )
        self._jobs.add(job)
        try:
            async with asyncio.timeout(BOOTSTRAP_SECONDS):
                code = await job.wait()
        except TimeoutError:
            raise CannotGoOn(f"{command} is not done after {BOOTSTRAP_SECONDS:.0f} s") from None
        finally:
            if job.returncode is None:
                job.kill()
            self._jobs.discard(job)
        if code != 0:
            raise CannotGoOn(f"{command} failed: {self._state.log_tail(command)}")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.supervisor.is_stopping:
            self._say(str(error))

    @asynccontextmanager
    async def _step(self, doing: str) -> AsyncIterator[None]:
        began = time.monotonic()
        self._say(f"{doing} …")
        yield
        self._say(f"{doing}: {time.monotonic() - began:.1f} s")


def _of_its_own() -> None:
    """Keep a terminal's Ctrl-C from a job: it is ours to stop it."""
    die_with_parent()
    own_group(0)
