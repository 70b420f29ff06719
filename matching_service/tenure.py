"""One leadership of a cell: won, brought up to the last commit, kept by renewals and given back; it has no socket."""

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
from matching_service import answers, journal, lease, replica
from matching_service.database import LOADING, connect, connect_in_transactions, opened, rows
from matching_service.engine import Engine
from matching_service.failpoints import NONE, Failpoints
from matching_service.following import Diverged, Follower
from matching_service.journal import Batch, Writer
from matching_service.leader import Leader
from matching_service.lease import Candidate, LeaseLost, LeaseTime
from matching_service.sequencing import Sequencer

PARTITIONS_AHEAD = 16_000_000
IN_DOUBT_S = 10.0
TAIL_ROWS = 500

logger = logging.getLogger(__name__)


class Connections:
    """What a leader needs of the database, opened before it leads."""

    def __init__(self, settings: Settings, candidate: Candidate) -> None:
        url, password = settings.database_url, settings.database_password
        with ExitStack() as opening:
            self.keeper = connect(url, password, candidate.keeper_name)
            opening.callback(self.keeper.close)
            self.writer = connect(url, password, f"spare/{candidate.cell}/{candidate.holder}")
            opening.callback(self.writer.close)
            self.reader = answers.prepared(connect(url, password, f"reader/{candidate.cell}"))
            opening.pop_all()

    def close(self) -> None:
        """Close all of them."""
        for connection in (self.keeper, self.writer, self.reader):
            connection.close()


class Tenure:
    """A lease won: its connections, the memory as of the last commit, and the leader that serves it."""

    def __init__(
        self,
        settings: Settings,
        candidate: Candidate,
        connections: Connections,
        follower: Follower,
        failpoints: Failpoints = NONE,
    ) -> None:
        self.settings = settings
        self.candidate = candidate
        self.keeper, self.reader = connections.keeper, connections.reader
        self.failpoints = failpoints
        self.room_until = 0
        self.is_handed_over = False
        self.lease_time = LeaseTime(candidate.lease_ms)
        self.leadership = failpoints.around("take_over", lease.take_over)(self.keeper, candidate)
        self.follower = caught_up(self.keeper, follower, self.leadership.last_sequence, candidate.cell)
        rows(connections.writer, "SET application_name = %s", (self._writer_name(),))
        spare = None if failpoints.is_within_transaction else connections.writer
        self.writer = Writer(self._connect, IN_DOUBT_S, failpoints, spare)
        self.renewing = ThreadPoolExecutor(1, "renew")

    @property
    def engine(self) -> Engine:
        """The engine that the leader of this tenure works with."""
        return self.follower.engine

    def leader(self, poisoned: Command | None, committed: Callable[[Batch], None]) -> Leader:
        """Return a leader of this tenure; call it within the event loop."""
        limits = (self.settings.batch_commands, self.settings.queue_commands)
        sequencer = Sequencer(self.follower.loaded(), self.leadership, self.failpoints)
        connections = (self.writer, self.reader)
        return Leader(sequencer, *connections, self.lease_time, limits, committed, poisoned, self.failpoints)

    def reload(self) -> None:
        """Drop the memory and load the tables again, the lease being kept meanwhile. Blocks."""
        settings = self.settings
        with opened(settings.database_url, settings.database_password, "loader", LOADING) as loader:
            self.follower = Follower(replica.load(loader, self.candidate.cell))
        self.is_handed_over = False  # by now somebody has missed a leader

    async def keep(self) -> None:
        """Renew the lease until it is lost; raise `LeaseLost` then."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(self.candidate.lease_ms / 3000)
                try:
                    await loop.run_in_executor(self.renewing, self._prolong)
                except psycopg2.Error as error:
                    if not self.lease_time.is_ours():
                        raise LeaseLost(str(error)) from error
                    logger.warning("the lease could not be renewed yet", extra={"why": str(error)})
                    await loop.run_in_executor(self.renewing, self._reconnect_keeper)
        except LeaseLost as lost:
            self.lease_time.lose(lost)
            raise

    def announce(self) -> None:
        """Tell where the leader serves, now that it does; raise `LeaseLost` when another has the lease. Blocks."""
        self._prolonged(lease.announce)

    def _prolong(self) -> None:
        self._prolonged(lease.renew)
        if self.engine.sequence > self.room_until - PARTITIONS_AHEAD:
            self.room_until = make_room(self.keeper, self.engine.sequence)

    def _prolonged(self, prolong: Callable[[Connection, Candidate], bool]) -> None:
        begun = time.monotonic()
        if not prolong(self.keeper, self.candidate):
            raise LeaseLost("another task holds the lease")
        self.lease_time.renewed(begun)

    def stop_cell(self, why: str) -> None:
        """Let nobody lead the cell from now on. Blocks."""
        logger.critical("the cell is stopped", extra={"cell": self.candidate.cell, "why": why})
        lease.stop_cell(self.keeper, self.candidate, why)

    def end(self, mark: str = lease.GIVEN_UP) -> None:
        """Write nothing more, and let the next candidate win at once where that can still be said."""
        self.renewing.shutdown(wait=True)
        self.writer.close()
        self.reader.close()
        give_back(self.keeper, self.candidate, mark)
        logger.info("the lease is given back", extra={"epoch": self.leadership.epoch})

    def _writer_name(self) -> str:
        return f"{self.candidate.application_name}/{self.leadership.epoch}"

    def _connect(self) -> Connection:
        connect_as = connect_in_transactions if self.failpoints.is_within_transaction else connect
        return connect_as(self.settings.database_url, self.settings.database_password, self._writer_name())

    def _reconnect_keeper(self) -> None:
        try:
            if self.keeper.closed:
                url, password = self.settings.database_url, self.settings.database_password
                self.keeper = connect(url, password, self.candidate.keeper_name)
        except psycopg2.Error:
            logger.info("the database cannot be reached yet")


def make_room(connection: Connection, sequence: int) -> int:
    """Have partitions made long before they are reached, and return how far they reach at least."""
    rows(connection, "SELECT ensure_partitions(%s)", (sequence + PARTITIONS_AHEAD,))
    return sequence + 2 * PARTITIONS_AHEAD


def begin(
    settings: Settings,
    candidate: Candidate,
    connections: Connections,
    follower: Follower,
    failpoints: Failpoints = NONE,
) -> Tenure | None:
    """Try to win the lease once, and take over then with what `follower` has; None while another holds it. Blocks.

    The connections are the tenure's when it is won, and closed when it fails.
    """
    before, begun = lease.standing(connections.keeper, candidate.cell), time.monotonic()
    if not lease.try_win(connections.keeper, candidate):
        return None
    try:
        tenure = Tenure(settings, candidate, connections, follower, failpoints)
    except BaseException:
        give_back(connections.keeper, candidate)
        connections.close()
        raise
    tenure.lease_time.renewed(begun)
    tenure.is_handed_over = before is not None and before.is_handed_over
    return tenure


def give_back(keeper: Connection, candidate: Candidate, mark: str = lease.GIVEN_UP) -> None:
    """Let another candidate win at once, where that can still be said."""
    try:
        lease.release(keeper, candidate, mark)
    except psycopg2.Error as error:
        logger.warning("the lease could not be released", extra={"why": str(error)})
    keeper.close()


def caught_up(connection: Connection, follower: Follower, last_sequence: int, cell: int) -> Follower:
    """Apply the tail of the journal, which nobody adds to any more; raise `Diverged` where it ends otherwise."""
    while follower.sequence < last_sequence:
        tail = journal.rows_after(connection, cell, follower.sequence, TAIL_ROWS)
        if not tail:
            break
        for row in tail:
            follower.follow(row)
    if follower.sequence != last_sequence:
        raise Diverged(f"the fence stands at {last_sequence}, this memory at {follower.sequence}")
    return follower
