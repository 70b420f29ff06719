"""Who leads a cell: one row to win and renew, one row to fence with; the database's clock alone decides.

The lease row is touched by renewals and candidates only, the fence row by batches and the winner only, so that a
stopped leader that holds the fence's lock cannot keep anyone from winning.
"""

import socket
import time
import uuid

from msgspec import Struct
from psycopg2.extensions import connection as Connection

from matching_service.database import rows

TERMINATION_MS = 2000


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


class Leadership(Struct, frozen=True):
    """A lease won: the epoch it writes in, what was committed before, and the database's time then, in microseconds."""

    epoch: int
    last_sequence: int
    database_time: int
    monotonic_ns: int

    def now(self) -> int:
        """Return the database's time by this machine's monotonic clock, in microseconds."""
        return self.database_time + (time.monotonic_ns() - self.monotonic_ns) // 1000


def new_holder() -> str:
    """Return a name that no other process has."""
    return f"{socket.gethostname()[:20]}-{uuid.uuid4().hex[:12]}"


def try_win(connection: Connection, candidate: Candidate) -> bool:
    """Take the lease if it is free, expired or already one's own."""
    won = rows(
        connection,
        "INSERT INTO lease AS l (cell, holder, endpoint, certificate, expires)"
        " VALUES (%s, %s, %s, %s, clock_timestamp() + %s * interval '1 millisecond')"
        " ON CONFLICT (cell) DO UPDATE SET holder = excluded.holder, endpoint = excluded.endpoint,"
        " certificate = excluded.certificate, expires = excluded.expires"
        " WHERE l.expires < clock_timestamp() OR l.holder = excluded.holder RETURNING 1",
        (candidate.cell, candidate.holder, candidate.endpoint, candidate.certificate, candidate.lease_ms),
    )
    return bool(won)


def take_over(connection: Connection, candidate: Candidate) -> Leadership:
    """Terminate the backends of earlier holders, and only then raise the epoch; call it as the lease's holder."""
    rows(
        connection,
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
        " WHERE application_name LIKE %s AND pid <> pg_backend_pid()",
        (TERMINATION_MS, f"leader/{candidate.cell}/%"),
    )
    found = rows(
        connection,
        "INSERT INTO fence AS f (cell, epoch, last_sequence) VALUES (%s, 1, 0)"
        " ON CONFLICT (cell) DO UPDATE SET epoch = f.epoch + 1"
        " RETURNING epoch, last_sequence, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        (candidate.cell,),
    )
    epoch, last_sequence, database_time = found[0]
    return Leadership(epoch, last_sequence, database_time, time.monotonic_ns())


def renew(connection: Connection, candidate: Candidate) -> bool:
    """Push the lease's end; False when another holds it."""
    renewed = rows(
        connection,
        "UPDATE lease SET expires = clock_timestamp() + %s * interval '1 millisecond'"
        " WHERE cell = %s AND holder = %s RETURNING 1",
        (candidate.lease_ms, candidate.cell, candidate.holder),
    )
    return bool(renewed)


def release(connection: Connection, candidate: Candidate) -> None:
    """Let the next candidate win at once."""
    rows(
        connection,
        "UPDATE lease SET expires = clock_timestamp() WHERE cell = %s AND holder = %s",
        (candidate.cell, candidate.holder),
    )
