"""One leadership of a cell: won, loaded, kept by renewals and given back; it listens to no socket."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg2
from psycopg2.extensions import connection as Connection

from exchange.commands import Command
from exchange.settings import Service as Settings
from matching_service import lease, replica
from matching_service.database import LOADING, connect, connect_in_transactions, opened, rows
from matching_service.failpoints import NONE, Failpoints
from matching_service.journal import Batch, Writer
from matching_service.leader import Leader
from matching_service.lease import Candidate, Leadership
from matching_service.replica import Loaded
from matching_service.sequencing import Sequencer

PARTITIONS_AHEAD = 16_000_000
IN_DOUBT_S = 10.0

logger = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - an order to step down
    """The lease could not be renewed before it ended, or another took it."""


class Tenure:
    """A lease won: the connections, the engine as of the last commit, and the leader that serves it."""

    def __init__(
        self,
        settings: Settings,
        candidate: Candidate,
        keeper: Connection,
        leadership: Leadership,
        failpoints: Failpoints = NONE,
    ) -> None:
        self.settings = settings
        self.candidate = candidate
        self.keeper = keeper
        self.leadership = leadership
        self.failpoints = failpoints
        self.room_until = 0
        with ExitStack() as opening:
            self.writer = Writer(self._connect, IN_DOUBT_S, failpoints)
            opening.callback(self.writer.close)
            self.reader = connect(settings.database_url, settings.database_password, f"reader/{candidate.cell}")
            opening.callback(self.reader.close)
            self.loaded = self._loaded()
            opening.pop_all()
        self.engine = self.loaded.engine
        self.renewing = ThreadPoolExecutor(1, "renew")

    def _loaded(self) -> Loaded:
        """Return the state as the fence says it must be, and see to it that there is room for what follows."""
        settings, last_sequence = self.settings, self.leadership.last_sequence
        with opened(settings.database_url, settings.database_password, "loader", LOADING) as loader:
            self.room_until = _make_room(loader, last_sequence)
            loaded = replica.load(loader, self.candidate.cell)
        assert loaded.engine.sequence == last_sequence, (loaded.engine.sequence, last_sequence)
        return loaded

    def leader(self, poisoned: Command | None, committed: Callable[[Batch], None]) -> Leader:
        """Return the leader of this tenure; call it within the event loop."""
        limits = (self.settings.batch_commands, self.settings.queue_commands)
        sequencer = Sequencer(self.loaded, self.leadership, self.failpoints)
        return Leader(sequencer, self.writer, self.reader, limits, committed, poisoned, self.failpoints)

    async def keep(self) -> None:
        """Renew the lease until it is lost; raise `LeaseLost` then."""
        loop = asyncio.get_running_loop()
        pause_s = self.candidate.lease_ms / 3000
        ends = time.monotonic() + self.candidate.lease_ms / 1000
        while True:
            await asyncio.sleep(pause_s)
            begun = time.monotonic()
            try:
                is_ours = await loop.run_in_executor(self.renewing, self._renew)
            except psycopg2.Error as error:
                if time.monotonic() > ends:
                    raise LeaseLost(str(error)) from error
                logger.warning("the lease could not be renewed yet", extra={"why": str(error)})
                await loop.run_in_executor(self.renewing, self._reconnect_keeper)
                continue
            if not is_ours:
                raise LeaseLost("another task holds the lease")
            ends = begun + self.candidate.lease_ms / 1000

    def end(self) -> None:
        """Close every connection, and let the next candidate win at once where that can still be said."""
        self.renewing.shutdown(wait=True)
        self.writer.close()
        self.reader.close()
        try:
            lease.release(self.keeper, self.candidate)
        except psycopg2.Error as error:
            logger.warning("the lease could not be released", extra={"why": str(error)})
        self.keeper.close()

    def _renew(self) -> bool:
        """Renew the lease, and make room for further sequences long before they are reached."""
        if self.engine.sequence > self.room_until - PARTITIONS_AHEAD:
            self.room_until = _make_room(self.keeper, self.engine.sequence)
        return lease.renew(self.keeper, self.candidate)

    def _connect(self) -> Connection:
        name = f"{self.candidate.application_name}/{self.leadership.epoch}"
        connect_as = connect_in_transactions if self.failpoints.is_within_transaction else connect
        return connect_as(self.settings.database_url, self.settings.database_password, name)

    def _reconnect_keeper(self) -> None:
        try:
            if self.keeper.closed:
                self.keeper = connect(self.settings.database_url, self.settings.database_password, "keeper")
        except psycopg2.Error:
            logger.info("the database cannot be reached yet")


def _make_room(connection: Connection, sequence: int) -> int:
    """Have partitions made beyond `sequence`, and return how far they reach at least."""
    rows(connection, "SELECT ensure_partitions(%s)", (sequence + PARTITIONS_AHEAD,))
    return sequence + 2 * PARTITIONS_AHEAD


def begin(settings: Settings, candidate: Candidate, failpoints: Failpoints = NONE) -> Tenure | None:
    """Try to win the lease once, and load the cell then; None while another holds it. Blocks."""
    keeper = connect(settings.database_url, settings.database_password, "keeper")
    try:
        if not lease.try_win(keeper, candidate):
            keeper.close()
            return None
        leadership = failpoints.around("take_over", lease.take_over)(keeper, candidate)
        return Tenure(settings, candidate, keeper, leadership, failpoints)
    except BaseException:
        keeper.close()
        raise
