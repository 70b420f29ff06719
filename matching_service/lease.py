"""Who leads a cell: one row to win and renew, one row to fence with; the database's clock alone decides.

The lease row is touched by renewals and candidates only, the fence row by batches and the winner only, so that a
stopped leader that holds the fence's lock cannot keep anyone from winning.
"""

import asyncio
import logging
import os
import socket
import time
import uuid

from msgspec import Struct
from psycopg2.extensions import connection as Connection

from matching_service.database import rows

TERMINATION_S = 2.0
TERMINATION_EVERY_S = 0.002
CERTAINTY_EVERY_S = 0.005
CHANNEL = "lease_{}"
"""Where a leader that gives its lease back says so, by cell: whoever stands by wins at once."""
RELEASED = "released: "
"""What the holder of a lease begins with that a leader gave back because it was told to stop: nobody has missed it."""
HAND_OVER_MS = 200
"""How long after that the edges still look for the next leader, and let no order wait for want of one."""
GIVEN_UP = "given up: "
"""What the holder of a lease begins with that was given back for any other reason: orders may wait by now."""
STOPPED = "stopped: "
"""What the holder of the lease of a stopped cell begins with; the reason follows, and the lease ends in 1,000 years."""


logger = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - an order to step down
    """The lease could not be renewed before it ended, or another took it."""


class Candidate(Struct, frozen=True):
    """One task that would lead `cell`; `certificate` is the hex SHA-256 of the certificate it serves with."""

    cell: int
    holder: str
    endpoint: str
    certificate: str
    lease_ms: int

    @property
    def application_name(self) -> str:
        """The name of the backends that a successor must terminate."""
        return f"leader/{self.cell}/{self.holder}"

    @property
    def keeper_name(self) -> str:
        """The name of the backend that renews the lease: where there is none any more, the holder is gone."""
        return f"keeper/{self.cell}/{self.holder}"


class Leadership(Struct, frozen=True):
    """A lease won: the epoch it writes in, what was committed before, and the database's time then, in microseconds."""

    epoch: int
    last_sequence: int
    database_time: int
    monotonic_ns: int

    def now(self) -> int:
        """Return the database's time by this machine's monotonic clock, in microseconds."""
        return self.database_time + (time.monotonic_ns() - self.monotonic_ns) // 1000


class Standing(Struct, frozen=True):
    """Who holds the lease, how long from now by the database's clock, and whether the holder's keeper is connected."""

    holder: str
    endpoint: str
    remaining_ms: int
    is_connected: bool

    @property
    def is_free(self) -> bool:
        """Tell whether another may win."""
        return self.stopped is None and (self.remaining_ms <= 0 or not self.is_connected)

    @property
    def is_handed_over(self) -> bool:
        """Tell whether one told to stop gave it back just now, so that nobody has missed a leader yet."""
        return self.holder.startswith(RELEASED) and self.remaining_ms > -HAND_OVER_MS

    @property
    def stopped(self) -> str | None:
        """Return why the cell is stopped, None where it is not."""
        return self.holder.removeprefix(STOPPED) if self.holder.startswith(STOPPED) else None


class LeaseTime:
    """Until when nobody else can have won the lease, by this machine's monotonic clock.

    What a batch commits is fenced; what is answered beside it is told only while the lease is certainly held, so that
    a leader that was stopped for a while tells nothing stale when it goes on.
    """

    def __init__(self, lease_ms: int) -> None:
        self.lease_s = lease_ms / 1000
        self.ends_s = float("-inf")
        self.lost: LeaseLost | None = None

    def renewed(self, begun_s: float) -> None:
        """Note a renewal that was sent at `begun_s`; in any thread."""
        self.ends_s = begun_s + self.lease_s

    def lose(self, lost: LeaseLost) -> None:
        """Let everyone who waits for certainty hear that there will be none."""
        self.lost = lost

    def is_ours(self) -> bool:
        """Tell whether the lease is certainly held now."""
        return self.lost is None and time.monotonic() < self.ends_s

    async def until_ours(self) -> None:
        """Wait until a renewal has made it certain again; raise `LeaseLost` when none will."""
        while not self.is_ours():
            if self.lost is not None:
                raise self.lost
            await asyncio.sleep(CERTAINTY_EVERY_S)


def new_holder() -> str:
    """Return a name that no other process has."""
    return f"{socket.gethostname()[:20]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def standing(connection: Connection, cell: int) -> Standing | None:
    """Return how the lease stands, None where the cell never had one; lock nothing."""
    found = rows(
        connection,
        "SELECT holder, endpoint, (extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint,"
        " EXISTS (SELECT FROM pg_stat_get_activity(NULL) WHERE application_name = 'keeper/' || cell || '/' || holder)"
        " FROM lease WHERE cell = %s",
        (cell,),
    )
    return Standing(*found[0]) if found else None


def try_win(connection: Connection, candidate: Candidate) -> bool:
    """Take the lease if it has expired, is one's own, or if its holder's keeper is not connected any more.

    The endpoint is told by `announce`, when the leader serves; call this on a connection of `keeper_name`.
    """
    won = rows(
        connection,
        "INSERT INTO lease AS l (cell, holder, endpoint, certificate, expires)"
        " VALUES (%s, %s, '', '', clock_timestamp() + %s * interval '1 millisecond')"
        " ON CONFLICT (cell) DO UPDATE SET holder = excluded.holder, endpoint = excluded.endpoint,"
        " certificate = excluded.certificate, expires = excluded.expires"
        " WHERE l.expires < clock_timestamp() OR l.holder = excluded.holder OR (l.holder NOT LIKE %s AND NOT EXISTS"
        " (SELECT FROM pg_stat_get_activity(NULL) WHERE application_name = 'keeper/' || l.cell || '/' || l.holder))"
        " RETURNING 1",
        (candidate.cell, candidate.holder, candidate.lease_ms, f"{STOPPED}%"),
    )
    return bool(won)


def take_over(connection: Connection, candidate: Candidate) -> Leadership:
    """Terminate the backends of earlier holders, and only then raise the epoch; call it as the lease's holder."""
    _terminate(connection, f"leader/{candidate.cell}/%")
    found = rows(
        connection,
        "INSERT INTO fence AS f (cell, epoch, last_sequence) VALUES (%s, 1, 0)"
        " ON CONFLICT (cell) DO UPDATE SET epoch = f.epoch + 1"
        " RETURNING epoch, last_sequence, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        (candidate.cell,),
    )
    epoch, last_sequence, database_time = found[0]
    return Leadership(epoch, last_sequence, database_time, time.monotonic_ns())


def _terminate(connection: Connection, names: str) -> None:
    """End the backends of those names, and wait until they are gone, which the server would ask every 100 ms only."""
    give_up_at = time.monotonic() + TERMINATION_S
    while rows(
        connection,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL) WHERE application_name LIKE %s",
        (names,),
    ):
        if time.monotonic() > give_up_at:
            logger.warning("a backend of an earlier leader does not end")
            return
        time.sleep(TERMINATION_EVERY_S)


def renew(connection: Connection, candidate: Candidate) -> bool:
    """Push the lease's end; False when another holds it."""
    renewed = rows(
        connection,
        "UPDATE lease SET expires = clock_timestamp() + %s * interval '1 millisecond'"
        " WHERE cell = %s AND holder = %s RETURNING 1",
        (candidate.lease_ms, candidate.cell, candidate.holder),
    )
    return bool(renewed)


def announce(connection: Connection, candidate: Candidate) -> bool:
    """Tell where the leader serves, now that it does, and push the lease's end; False when another holds it."""
    announced = rows(
        connection,
        "UPDATE lease SET endpoint = %s, certificate = %s,"
        " expires = clock_timestamp() + %s * interval '1 millisecond' WHERE cell = %s AND holder = %s RETURNING 1",
        (candidate.endpoint, candidate.certificate, candidate.lease_ms, candidate.cell, candidate.holder),
    )
    return bool(announced)


def is_current(connection: Connection, cell: int, epoch: int) -> bool:
    """Tell whether nobody has taken over since `epoch` began, as of now."""
    return bool(rows(connection, "SELECT 1 FROM fence WHERE cell = %s AND epoch = %s", (cell, epoch)))


def release(connection: Connection, candidate: Candidate, mark: str = GIVEN_UP) -> None:
    """Let the next candidate win at once, and tell whoever listens; `mark` is `RELEASED` or `GIVEN_UP`."""
    rows(
        connection,
        "WITH released AS (UPDATE lease SET holder = %s, endpoint = '', expires = clock_timestamp()"
        " WHERE cell = %s AND holder = %s RETURNING 1) SELECT pg_notify(%s, '') FROM released",
        (f"{mark}{candidate.holder}", candidate.cell, candidate.holder, CHANNEL.format(candidate.cell)),
    )


def stop_cell(connection: Connection, candidate: Candidate, why: str) -> None:
    """Let nobody lead the cell until somebody has looked and calls `resume_cell`; call it as the lease's holder."""
    rows(
        connection,
        "UPDATE lease SET holder = %s, endpoint = '', expires = clock_timestamp() + interval '1000 years'"
        " WHERE cell = %s AND holder = %s",
        (f"{STOPPED}{why}", candidate.cell, candidate.holder),
    )


def resume_cell(connection: Connection, cell: int) -> str | None:
    """Let a stopped cell be led again; return why it was stopped, None where it was not."""
    found = standing(connection, cell)
    if found is None or found.stopped is None:
        return None
    rows(connection, "DELETE FROM lease WHERE cell = %s AND holder = %s", (cell, found.holder))
    return found.stopped
