"""One task of the matching service in the simulation: it stands by, takes over, leads, and does so again after an end.

The loops of a standby and of a service around their leader are written again here, since the real ones open sockets
and load tables; everything that they call to win, take over, follow, sequence, commit, answer, renew and give back is
the service's own.
"""

import asyncio
import time
from collections.abc import Callable

import psycopg2

from exchange import wire
from exchange.settings import Service as Settings
from matching_service import journal, lease, tenure
from matching_service.database import connect
from matching_service.engine import Engine
from matching_service.failpoints import NAMES, Failpoints
from matching_service.following import Follower
from matching_service.journal import CopyLost, Doubtful, Fenced
from matching_service.leader import Leader
from matching_service.lease import Candidate, LeaseLost
from matching_service.replica import Loaded
from matching_service.submissions import Requester, Submission
from matching_service.tenure import Connections, Tenure
from tests.simulation.process import Crashed, Process
from tests.simulation.tables import CELL
from tests.simulation.world import World

LEASE_MS = 1000
POLL_S = 0.15
"""Between looks of a standby: thrice as long as the service's, since most of a run is such looks."""
AGAIN_S = 0.005
RETRY_S = 0.2
ROWS_A_TURN = 200
FAILPOINTS = tuple(name for name in NAMES if not name.endswith(("redis", "kinesis")))
"""Those that a leader without Redis and streams comes by."""
SETTINGS = Settings("simulated", "", "", "", "", lease_ms=LEASE_MS)


class Node:
    """A place where a task runs, one process after another."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.lives = 0
        self.process = Process(world, name)
        self.leader: Leader | None = None
        self.bugs: list[str] = []
        self.failpoints: list[Failpoints] = []  # of every life
        self._is_stopping = asyncio.Event()

    def start(self, failpoint: str = "") -> None:
        """Start a new process, with nothing in its memory."""
        self.lives += 1
        self.leader = None
        self.process = process = Process(self.world, self.name)
        self._is_stopping = asyncio.Event()
        failpoints = Failpoints(failpoint, {"crash": self._crash})
        self.failpoints.append(failpoints)
        self.world.note("start", self.name, failpoint)
        process.loop.call_soon(lambda: process.loop.create_task(self._live(process, failpoints)))

    def crash(self, why: str, *, is_machine_lost: bool = False) -> None:
        """Kill the process."""
        self.leader = None
        self.process.is_machine_lost = is_machine_lost
        self.process.crash(why)

    def ask_to_end(self) -> None:
        """Ask the process to hand over and end, as a deployment does."""
        self.process.loop.call_soon(self._is_stopping.set)

    def receive(self, requester: Requester, request: wire.Submit) -> None:
        """Take a request off the network."""
        process = self.process

        def taken() -> None:
            submission = Submission(requester, request)
            if self.leader is None or self.process is not process:
                submission.fail("not_leader", "none")
            else:
                self.leader.submit(submission)

        process.loop.call_soon(taken)

    def reached(self) -> set[str]:
        """Return the failpoints at which a life of it has ended."""
        return {
            name
            for failpoints in self.failpoints
            for name, due in failpoints.due.items()
            if failpoints.passed[name] >= min(due)
        }

    def _crash(self) -> None:
        raise Crashed

    async def _live(self, process: Process, failpoints: Failpoints) -> None:
        name = f"{self.name}-{self.lives}"
        candidate = Candidate(CELL, name, self.name, "", LEASE_MS)
        loop = asyncio.get_running_loop()
        while not self._is_stopping.is_set():
            try:
                held = await loop.run_in_executor(None, self._stand_by, candidate, failpoints)
                if held is not None:
                    await self._hold(held)
            except (Fenced, Doubtful, CopyLost, LeaseLost, psycopg2.Error) as error:
                self.world.note("steps down", name, type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception as error:  # noqa: BLE001 - any other error is a bug, and ends the process as it would
                self.bugs.append(f"{name}: {error!r}")
                self.crash("by a bug")
        process.crash("asked to end")

    def _stand_by(self, candidate: Candidate, failpoints: Failpoints) -> Tenure | None:
        """Follow the journal from its beginning until the lease is won. Blocks."""
        engine = Engine(CELL)
        follower = Follower(Loaded(engine, journal.GENESIS, engine.state_hash()))
        connection = connect("simulated", "", f"standby/{candidate.holder}")
        connections = Connections(SETTINGS, candidate)
        while not self._is_stopping.is_set():
            found = journal.rows_after(connection, CELL, follower.sequence, ROWS_A_TURN)
            for row in found:
                follower.follow(row)
            if len(found) == ROWS_A_TURN:
                continue
            standing = lease.standing(connection, CELL)
            is_free = standing is None or standing.is_free
            if is_free and (held := tenure.begin(SETTINGS, candidate, connections, follower, failpoints)):
                connection.close()
                return held
            remaining_s = standing.remaining_ms / 1000 if standing and not is_free else AGAIN_S
            time.sleep(min(POLL_S, max(remaining_s, AGAIN_S)))  # on the simulated clock
        return None

    async def _hold(self, held: Tenure) -> None:
        """Lead until the lease is lost or given back."""
        leader = held.leader(None, lambda _: None)
        running = asyncio.create_task(leader.run())
        beside = [asyncio.create_task(held.keep()), asyncio.create_task(self._is_stopping.wait())]
        self.leader = leader
        self.world.note("leads", held.leadership.epoch, held.leadership.last_sequence)
        try:
            await asyncio.get_running_loop().run_in_executor(held.renewing, held.announce)
            await asyncio.wait([running, *beside], return_when=asyncio.FIRST_COMPLETED)
            leader.stop()
            await asyncio.wait([running])
            for task in (running, *beside):
                if task.done():
                    task.result()
        finally:
            self.leader = None
            for task in (running, *beside):
                task.cancel()
            await asyncio.to_thread(held.end)
            await asyncio.gather(running, *beside, return_exceptions=True)


def connecting(connect: Callable[..., object]) -> Callable[..., object]:
    """Return what takes the place of `psycopg2.connect`: a connection of the process that asks for it."""

    def connected(*_: object, application_name: str, async_: bool = False, **__: object) -> object:
        assert Process.current is not None, "a process connects"
        return connect(Process.current, application_name, is_autocommit=async_)

    return connected
