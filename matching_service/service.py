"""The service: wait for the lease, lead while it is held, and say what became of every request; then again."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable

import psycopg2

from exchange import wire
from exchange.commands import Command
from exchange.settings import Service as Settings
from matching_service import certificates, lease, shards, tenure, waiting_room
from matching_service.display import Display
from matching_service.failpoints import Failpoints
from matching_service.gateway import Gateway, Session
from matching_service.journal import CopyLost, Doubtful, Fenced
from matching_service.leader import Leader
from matching_service.lease import Candidate
from matching_service.sequencing import Poisoned
from matching_service.shards import Kinesis, Shards
from matching_service.submissions import Submission
from matching_service.tenure import LeaseLost, Tenure
from matching_service.waiting_room import WaitingRoom

RETRY_S = 0.2
POISON_WINDOW_S = 60.0
PUBLISHER_PAUSE_S = 1.0
PUBLISHER_STOP_S = 3.0

logger = logging.getLogger(__name__)


class CellStopped(Exception):  # noqa: N818 - the operator's word for it
    """Two commands could not be applied within a minute: the cell stays down until somebody has looked."""


class Service:
    """One task: the desk of its gateway, whoever leads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failpoints = Failpoints(settings.failpoint)
        self.leader: Leader | None = None
        self.display: Display | None = None
        self.epoch = 0
        self.now: Callable[[], int] = int
        self.is_stopping = asyncio.Event()
        self.poisoned: Command | None = None
        self.last_poison_s = float("-inf")
        self.last_failure = ""
        self.kinesis: Kinesis | None = None

    def welcome(self) -> wire.Welcome | None:
        """Greet as the leader, or not at all."""
        return wire.Welcome(self.settings.cell, self.epoch) if self.leader else None

    def submit(self, session: Session, request: wire.Submit) -> None:
        """Hand the commands to the leader."""
        submission = Submission(session, request)
        if self.leader is None:
            submission.fail("not_leader", "none")
        elif not request.commands:
            session.reply(wire.Answers(request.id, []))
        else:
            self.leader.submit(submission)

    def look(self, request: wire.Look) -> wire.Data:
        """Answer from the committed copy."""
        display = self.display
        if display is None:
            return wire.Data(request.id, None)
        return wire.Data(request.id, display.projections.look(request.what, request.symbol, self.now()))

    async def run(self) -> None:
        """Serve until `stop`; raise `CellStopped` when going on would do harm."""
        settings = self.settings
        context, certificate = certificates.server_context()
        gateway = Gateway(self, settings.gateway_secret, context)
        port = await gateway.start(settings.gateway_host, settings.gateway_port)
        address = settings.gateway_address or socket.gethostbyname(socket.gethostname())
        candidate = Candidate(settings.cell, lease.new_holder(), f"{address}:{port}", certificate, settings.lease_ms)
        logger.info("standing by", extra={"cell": candidate.cell, "endpoint": candidate.endpoint})
        if settings.orders_stream:
            self.kinesis = await asyncio.to_thread(shards.client)
        try:
            while not self.is_stopping.is_set():
                await self._turn(candidate, gateway)
        finally:
            await gateway.stop()

    def stop(self) -> None:
        """Answer what waits, give the lease back and end."""
        self.is_stopping.set()

    async def _turn(self, candidate: Candidate, gateway: Gateway) -> None:
        """Try to lead once; whatever ends a leadership but a bug leads back to waiting for the lease."""
        try:
            begun = await asyncio.to_thread(tenure.begin, self.settings, candidate, self.failpoints)
            if begun is None:
                await self._pause(candidate.lease_ms / 4000)
                return
            await self._lead(begun, gateway)
        except Poisoned as poison:
            self._note_poison(poison)
        except (Fenced, Doubtful, CopyLost, LeaseLost, psycopg2.Error) as error:
            self._note_failure(f"{type(error).__name__}: {error}".strip())
            await self._pause(RETRY_S)

    async def _lead(self, held: Tenure, gateway: Gateway) -> None:
        """Lead until told to stop, or until something ends the leadership."""
        candidate = held.candidate
        display = Display(self.settings, held.engine, held.leadership.now, self.failpoints)
        leader = held.leader(self.poisoned, display.projections.apply)
        self.poisoned, self.last_failure = None, ""
        self.display, self.epoch, self.now = display, held.leadership.epoch, held.leadership.now
        tasks = [
            asyncio.create_task(leader.run()),
            asyncio.create_task(held.keep()),
            asyncio.create_task(display.run(candidate.endpoint, candidate.certificate)),
            asyncio.create_task(self._publish()),
            asyncio.create_task(self.is_stopping.wait()),
        ]
        try:
            room = await self._waiting_room(held, leader)
            if room is not None:
                tasks.append(asyncio.create_task(room.run()))
                await room.level(tasks)
            self.leader = leader
            extra = {"cell": candidate.cell, "epoch": self.epoch, "sequence": held.engine.sequence}
            logger.info("leading", extra=extra)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            leader.stop()
            await asyncio.wait(tasks[:1])
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            self.leader = self.display = None
            gateway.drop_sessions()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(held.end)

    async def _waiting_room(self, held: Tenure, leader: Leader) -> WaitingRoom | None:
        """Return what empties the stream of orders into `leader`, None where there is no such stream."""
        settings = self.settings
        if self.kinesis is None:
            return None
        left = await asyncio.to_thread(waiting_room.positions, held.reader, settings.cell, settings.orders_stream)
        read = Shards(self.kinesis, settings.orders_stream, left)
        return WaitingRoom(read, leader, settings.cell, settings.gateway_secret, held.leadership.now)

    async def _publish(self) -> None:
        """Keep a publisher running beside the leadership."""
        if not self.settings.executions_stream:
            await asyncio.Event().wait()
        while True:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "matching_service", "publish")
            try:
                code = await process.wait()
                logger.warning("the publisher ended and is started again", extra={"code": code})
            finally:
                if process.returncode is None:
                    process.terminate()
                    await asyncio.wait_for(process.wait(), PUBLISHER_STOP_S)
            await asyncio.sleep(PUBLISHER_PAUSE_S)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.is_stopping.wait(), seconds)
        except TimeoutError:
            return

    def _note_failure(self, why: str) -> None:
        """Log why this task does not lead, once while the reason stays the same."""
        if why != self.last_failure:
            logger.warning("not leading", extra={"why": why})
        self.last_failure = why

    def _note_poison(self, poison: Poisoned) -> None:
        now = time.monotonic()
        if now - self.last_poison_s < POISON_WINDOW_S:
            raise CellStopped(f"a second command could not be applied within a minute: {poison}") from poison
        self.last_poison_s = now
        self.poisoned = poison.command
