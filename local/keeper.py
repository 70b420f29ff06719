"""Keeps one database out of two servers: notices that the primary is gone, promotes the standby, makes a new standby.

It promotes only a standby that is known, durably, to have everything that was acknowledged; what it did last is in
`database.json`. The old primary is dead before the new one serves, and comes back as an empty copy.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import psycopg2

from local import replication
from local.replication import Node, Seen
from local.roles import Roles, roles_of
from local.state import State, write_private
from local.supervisor import FAILURES, CannotGoOn, Part, Running, Supervisor

ENDPOINT = "database_endpoint"
PAUSE_S = 0.5
UNANSWERED_S = 1.0
"""A primary that answers no new connection for this long is gone."""
FROZEN_S = 5.0
"""One that answers none for this long, when nobody else has all that it has, is killed and started again."""
SILENT_S = 2.0
"""A standby that says nothing for this long is no longer waited for."""
SETTLE_S = 1.0
"""After this long every commit waits for the standby that the server was told to wait for."""
CATCH_UP_S = 60.0
REJOIN_PAUSE_S = 2.0


class Keeper:
    """The two servers while they run."""

    def __init__(
        self,
        state: State,
        nodes: list[Node],
        supervisor: Supervisor,
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._folder = state.folder
        self._roles = roles_of(state.folder)
        self._nodes = {node.name: node for node in nodes}
        self._supervisor = supervisor
        self._environment = environment
        self._say = say
        self._answered: dict[str, float] = {}
        self._processes: dict[str, Running] = {}
        self._joining: asyncio.Task[None] | None = None
        self._failures = 0

    @property
    def primary(self) -> Node:
        """The server that holds the truth."""
        return self._nodes[self._roles.primary]

    @property
    def standby(self) -> Node:
        """The other server."""
        [other] = [node for name, node in self._nodes.items() if name != self._roles.primary]
        return other

    async def start(self) -> None:
        """Start both servers; return when every commit waits for the standby."""
        await self._start_primary()
        if self._roles.is_promotable:
            try:
                await self._start_standby()
            except CannotGoOn as error:
                self._say(str(error))
                await self._give_standby_up()
        if not self._roles.is_promotable:
            await self._join()

    async def keep(self) -> None:
        """Watch both servers, and do what must be done, until the supervisor stops."""
        try:
            while not self._supervisor.is_stopping and self._failures <= FAILURES:
                await self._pause()
                try:
                    await self._act(*await self._look())
                except (CannotGoOn, psycopg2.Error, OSError) as error:
                    self._failures += 1
                    self._say(f"{self.primary.name}: {str(error).strip()}")
            self._supervisor.fail(f"{self.primary.name} cannot be made to serve")
        finally:
            await self._stop_joining()

    # ── Watching ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pause(self) -> None:
        """Wait a little, or until a server ends."""
        ends = [
            asyncio.create_task(running.process.wait())
            for running in self._processes.values()
            if running.process is not None and running.process.returncode is None
        ]
        try:
            if ends:
                await asyncio.wait(ends, timeout=PAUSE_S, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(PAUSE_S)
        finally:
            for task in ends:
                task.cancel()

    async def _look(self) -> tuple[Seen | None, Seen | None]:
        """Ask both servers, and note who answered."""
        began = time.monotonic()
        seen = await asyncio.gather(*(self._seen(node) for node in (self.primary, self.standby)))
        for node, said in zip((self.primary, self.standby), seen, strict=True):
            if said is not None:
                self._answered[node.name] = began
        return seen[0], seen[1]

    async def _seen(self, node: Node) -> Seen | None:
        return await asyncio.to_thread(replication.look, node) if self._runs(node) else None

    def _runs(self, node: Node) -> bool:
        running = self._processes.get(node.name)
        return running is not None and running.process is not None and running.process.returncode is None

    def _silence(self, node: Node) -> float:
        return time.monotonic() - self._answered.get(node.name, float("-inf"))

    async def _act(self, primary: Seen | None, standby: Seen | None) -> None:
        """Do what the last look asks for, one thing at most."""
        if self._supervisor.is_stopping:
            return
        is_gone = not self._runs(self.primary)
        if is_gone or (primary is None and self._silence(self.primary) > UNANSWERED_S):
            if self._roles.is_promotable and self._runs(self.standby):
                await self._fail_over()
            elif is_gone or self._silence(self.primary) > FROZEN_S:
                await self._start_again()
            return
        if primary is None or self._joining is not None:
            return
        if primary.is_standby:  # its promotion was interrupted
            await self._become_primary(self.primary)
            return
        self._failures = 0
        is_lost = not self._runs(self.standby) or (standby is None and self._silence(self.standby) > SILENT_S)
        if self._roles.is_promotable and (is_lost or primary.silence_s is None or primary.silence_s > SILENT_S):
            await self._give_standby_up()
        if not self._roles.is_promotable:
            self._joining = asyncio.create_task(self._rejoin())

    # ── Acting ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fail_over(self) -> None:
        """Make the standby the primary: cut the clients off, end the old primary for good, and only then promote."""
        began = time.monotonic()
        old, new = self.primary, self.standby
        self._point(None)
        await self._processes[old.name].kill()
        self._note(Roles(new.name, is_promotable=False))
        await self._become_primary(new)
        self._say(f"{old.name} is gone; {new.name} took over in {time.monotonic() - began:.2f} s")

    async def _start_again(self) -> None:
        """Start the primary where it died, since nobody else has all that it has."""
        await self._stop_joining()
        if self._runs(self.primary):
            await self._processes[self.primary.name].kill()
        self._say(f"{self.primary.name} died; starting it again")
        await self._start_primary()
        self._say(f"{self.primary.name} serves again")

    async def _start_primary(self) -> None:
        node = self.primary
        await self._launch(node, replication.primary_part(node, self._environment))
        if node.is_standby or not self._roles.is_promotable:
            await self._become_primary(node)
        self._point(node)

    async def _become_primary(self, node: Node) -> None:
        """Let a server write and wait for no standby; then let clients in."""
        await asyncio.to_thread(replication.promote, node)
        self._answered[node.name] = time.monotonic()
        self._point(node)

    async def _start_standby(self) -> None:
        node = self.standby
        await self._launch(node, replication.standby_part(node, self.primary, self._environment))

    async def _launch(self, node: Node, part: Part) -> None:
        self._processes[node.name] = await self._supervisor.launch(part)
        self._answered[node.name] = time.monotonic()

    async def _give_standby_up(self) -> None:
        """Write without a copy from now on; first of all note that this standby must not be promoted any more."""
        self._note(replace(self._roles, is_promotable=False))
        await asyncio.to_thread(replication.wait_for_standby, self.primary, "")
        self._say(f"{self.standby.name} does not follow: writes go on without a copy until it does")

    async def _rejoin(self) -> None:
        """Make the other server a standby, as often as it takes."""
        try:
            while not self._supervisor.is_stopping:
                try:
                    await self._join()
                except (CannotGoOn, psycopg2.Error, OSError) as error:
                    self._say(f"{self.standby.name} cannot follow yet: {str(error).strip()}")
                    await asyncio.sleep(REJOIN_PAUSE_S)
                else:
                    self._say(f"{self.standby.name} follows again: every commit waits for it")
                    return
        finally:
            self._joining = None

    async def _join(self) -> None:
        """Copy the primary anew, follow it, and be waited for; only when nothing is lacking be fit for promotion."""
        primary, standby = self.primary, self.standby
        if standby.name in self._processes:
            await self._processes[standby.name].kill()
        await asyncio.to_thread(replication.make_slot, primary)
        await replication.copy(standby, primary, self._environment)
        await self._start_standby()
        await self._until_followed(primary, CATCH_UP_S)
        try:
            await asyncio.to_thread(replication.wait_for_standby, primary, replication.STANDBY)
            await asyncio.sleep(SETTLE_S)
            await self._until_followed(primary, SILENT_S)
        except CannotGoOn:
            await asyncio.to_thread(replication.wait_for_standby, primary, "")
            raise
        self._note(Roles(primary.name, is_promotable=True))

    async def _until_followed(self, primary: Node, seconds: float) -> None:
        """Wait until the standby has all that the primary has now."""
        deadline = time.monotonic() + seconds
        seen = wanted = await self._seen(primary)
        while seen is None or wanted is None or seen.followed_bytes < wanted.written_bytes:
            if time.monotonic() > deadline:
                raise CannotGoOn(f"{self.standby.name} does not catch up")
            await asyncio.sleep(0.05)
            seen = await self._seen(primary)
            wanted = wanted or seen

    async def _stop_joining(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)

    def _note(self, roles: Roles) -> None:
        roles.write(self._folder)
        self._roles = roles

    def _point(self, node: Node | None) -> None:
        """Send clients to `node` from now on, and cut off who is connected elsewhere."""
        write_private(self._folder / ENDPOINT, "" if node is None else str(node.port))
        self._supervisor.send_signal(ENDPOINT, signal.SIGHUP)
