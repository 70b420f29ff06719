"""The service: stand by until the lease is won, lead while it is held, tell what became of every request."""

import asyncio
import logging
import socket
import time
from typing import Any

import psycopg2

from exchange import wire
from exchange.commands import Command
from exchange.settings import Service as Settings
from matching_service import certificates, lease, protection, waiting_room
from matching_service.display import Display
from matching_service.failpoints import Failpoints
from matching_service.gateway import Gateway, Session
from matching_service.health import Health, Role
from matching_service.invariants import Violation
from matching_service.journal import CopyLost, Doubtful, Fenced
from matching_service.leader import Leader
from matching_service.lease import Candidate, LeaseLost
from matching_service.projections import Projections
from matching_service.publisher_process import keep_publishing
from matching_service.sequencing import Poisoned
from matching_service.shards import Left
from matching_service.standby import Standby
from matching_service.submissions import Submission
from matching_service.tenure import Tenure
from matching_service.waiting_room import OrderStream, WaitingRoom

RETRY_S = 0.2
POISON_WINDOW_S = 60.0

logger = logging.getLogger(__name__)


class CellStopped(Exception):  # noqa: N818 - the operator's word for it
    """Going on would do harm: nobody leads the cell any more until somebody has looked."""


class Service:
    """One task: the desk of its gateway, whoever leads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failpoints = Failpoints(settings.failpoint)
        self.health = Health(settings.cell)
        self.standby: Standby | None = None
        self.held: Tenure | None = None
        self.leader: Leader | None = None
        self.display: Display | None = None
        self.is_stopping = asyncio.Event()
        self.is_open = asyncio.Event()
        self.last_poison_s = float("-inf")
        self.order_stream = OrderStream(settings.orders_stream) if settings.orders_stream else None

    def welcome(self) -> wire.Welcome | None:
        """Greet as the leader, or not at all."""
        return wire.Welcome(self.settings.cell, self.health.epoch) if self.leader else None

    def submit(self, session: Session, request: wire.Submit) -> None:
        """Hand the commands to the leader."""
        submission = Submission(session, request)
        if self.leader is None:
            submission.fail("not_leader", "none")
        elif not request.commands:
            session.reply(wire.Answers(request.id, []))
        else:
            self.leader.submit(submission)

    def look(self, request: wire.Look) -> wire.Data | wire.Failure:
        """Answer from the committed copy, while the lease is certainly held."""
        held, display = self.held, self.display
        if held is None or display is None or not held.lease_time.is_ours():
            return wire.Failure(request.id, "not_leader", "none")
        return wire.Data(request.id, display.projections.look(request.what, request.symbol, held.leadership.now()))

    async def run(self) -> None:
        """Serve until `stop`; raise `CellStopped` or `Diverged` when going on would do harm."""
        settings = self.settings
        context, certificate = certificates.server_context()
        gateway = Gateway(self, settings.gateway_secret, context)
        port = await gateway.start(settings.gateway_host, settings.gateway_port)
        asked = await self.health.start(settings.health_port)
        address = settings.gateway_address or socket.gethostbyname(socket.gethostname())
        candidate = Candidate(settings.cell, lease.new_holder(), f"{address}:{port}", certificate, settings.lease_ms)
        health_port = asked.sockets[0].getsockname()[1]
        logger.info("started", extra={"endpoint": candidate.endpoint, "health_port": health_port})
        try:
            while not self.is_stopping.is_set():
                await self._turn(candidate, gateway)
        finally:
            asked.close()
            await gateway.stop()
            if self.order_stream is not None:
                self.order_stream.close()

    def stop(self) -> None:
        """Answer what waits, give the lease back and end."""
        logger.info("asked to stop", extra={"role": self.health.role})
        self.is_stopping.set()
        if self.standby is not None:
            self.standby.stop()

    async def _turn(self, candidate: Candidate, gateway: Gateway) -> None:
        """Stand by, and lead once; whatever ends a leadership but a bug leads back to an empty memory."""
        self.standby = Standby(self.settings, candidate, self.health, self.failpoints)
        preparing = asyncio.create_task(self._stay_prepared())
        try:
            held = await asyncio.to_thread(self.standby.run)
        finally:
            preparing.cancel()
        if held is None:
            return
        try:
            await self._hold(held, gateway)
        except (Fenced, Doubtful, CopyLost, LeaseLost, psycopg2.Error) as error:
            logger.warning("not leading", extra={"why": f"{type(error).__name__}: {error}".strip()})
            await self._pause(RETRY_S)

    async def _hold(self, held: Tenure, gateway: Gateway) -> None:
        """Lead until the lease is given back or lost; a command that cannot be applied costs only the memory."""
        self.held = held
        mark = lease.GIVEN_UP
        tasks = [asyncio.create_task(held.keep())]
        if self.settings.executions_stream:
            tasks.append(asyncio.create_task(self._publish()))
        if self.settings.ecs_agent_uri:
            tasks.append(asyncio.create_task(protection.hold(self.settings.ecs_agent_uri)))
        try:
            poisoned = await self._lead(held, tasks, None)
            while poisoned is not None:
                poisoned = await self._lead(held, tasks, poisoned)
            if self.is_stopping.is_set() and self.is_open.is_set():
                mark = lease.RELEASED
        except (CellStopped, Violation, psycopg2.IntegrityError) as error:
            why = f"{type(error).__name__}: {error}".partition("\n")[0].removeprefix("CellStopped: ")
            await asyncio.get_running_loop().run_in_executor(held.renewing, held.stop_cell, why)
            raise CellStopped(why) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(held.end, mark)
            self.held = None
            gateway.drop_sessions()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lead(self, held: Tenure, beside: list[asyncio.Task[None]], poisoned: Command | None) -> Command | None:
        """Lead; return a command that could not be applied, when the memory is loaded anew, None when told to stop."""
        self.is_open.clear()
        left = await asyncio.to_thread(self._left, held)
        projections = await asyncio.to_thread(Projections.restored, held.engine)
        display = Display(self.settings, projections, held.engine.sequence, held.leadership.now, self.failpoints)
        leader = held.leader(poisoned, display.projections.apply)
        self.display = display
        own: list[asyncio.Task[Any]] = [
            asyncio.create_task(leader.run()),
            asyncio.create_task(display.run(held.candidate.endpoint, held.candidate.certificate)),
            asyncio.create_task(self.is_stopping.wait()),
        ]
        try:
            if room := self._waiting_room(left, leader):
                own.append(asyncio.create_task(room.run()))
                if not held.is_handed_over:  # if it is, nobody has missed a leader, so no order has had to wait for one
                    await room.level([*own, *beside])
            if not any(task.done() for task in (*own, *beside)):
                await self._open(held, leader)
            await asyncio.wait([*own, *beside], return_when=asyncio.FIRST_COMPLETED)
            leader.stop()
            await asyncio.wait(own[:1])
            for task in (*own, *beside):
                if task.done():
                    task.result()
        except Poisoned as poison:
            self._count(poison)
            await asyncio.to_thread(held.reload)
            return poison.command
        finally:
            self.leader = self.display = None
            self.health.becomes(Role.LOADING, "this task leads no longer")
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)
        return None

    async def _publish(self) -> None:
        """Publish once the requests are let in: to start a process takes time that they would wait for."""
        await self.is_open.wait()
        await keep_publishing()

    async def _open(self, held: Tenure, leader: Leader) -> None:
        """Let the requests in, and tell where the leader is."""
        self.leader = leader
        self.is_open.set()
        await asyncio.get_running_loop().run_in_executor(held.renewing, held.announce)
        self.health.leads(held.leadership.epoch, lambda: held.engine.sequence, held.lease_time.is_ours)
        told = {"cell": self.settings.cell, "epoch": held.leadership.epoch, "sequence": held.engine.sequence}
        logger.info("leading", extra=told)

    def _left(self, held: Tenure) -> Left:
        """Tell where the stream of orders was left; nobody else may use the tenure's reader meanwhile. Blocks."""
        return waiting_room.positions(held.reader, self.settings.cell, self.settings.orders_stream)

    def _waiting_room(self, left: Left, leader: Leader) -> WaitingRoom | None:
        """Return what empties the stream of orders into `leader`, None where there is no such stream."""
        if self.order_stream is None:
            return None
        return WaitingRoom(self.order_stream, left, leader, self.settings.cell, self.settings.gateway_secret)

    async def _stay_prepared(self) -> None:
        """Know the stream of orders while another leads."""
        if self.order_stream is not None:
            await self.order_stream.stay_prepared()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.is_stopping.wait(), seconds)
        except TimeoutError:
            return

    def _count(self, poison: Poisoned) -> None:
        now = time.monotonic()
        if now - self.last_poison_s < POISON_WINDOW_S:
            raise CellStopped(f"a second command could not be applied within a minute: {poison}") from poison
        self.last_poison_s = now
