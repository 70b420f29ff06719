"""How a PostgreSQL server becomes the synchronous standby of another, and takes over from it; it decides nothing."""

import contextlib
import select
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions

from local import postgres
from local.postgres import Server
from local.supervisor import Part

STANDBY = "standby"
"""What the standby calls itself to the primary, and its replication slot."""
SETTINGS = {
    "wal_retrieve_retry_interval": "100ms",  # with the default of 5 s a promotion took up to 5.2 s
    "wal_receiver_status_interval": "1s",
    "max_slot_wal_keep_size": "4GB",
}
LOOK_S = 0.75
_STANDING = (
    "SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn, flush_lsn - '0/0'::pg_lsn,"
    " extract(epoch FROM clock_timestamp() - reply_time) FROM (SELECT) AS always LEFT JOIN pg_stat_replication"
    " ON application_name = %s AND state = 'streaming' AND flush_lsn IS NOT NULL"
)
CALL_S = 3
PROMOTE_S = 10


@dataclass(frozen=True, slots=True)
class Node:
    """One of the two servers: where it is, and how its owner gets in."""

    server: Server
    port: int
    password: str

    @property
    def name(self) -> str:
        """What the server, its folder and its log are called."""
        return self.server.data.name

    @property
    def url(self) -> str:
        """The way around the endpoint to this very server."""
        return f"postgresql://{postgres.OWNER}@127.0.0.1:{self.port}/{postgres.DATABASE}"

    @property
    def is_standby(self) -> bool:
        """Whether it would start as one."""
        return (self.server.data / "standby.signal").exists()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server said: whether it is a standby, what it has written, what its own standby has of that.

    `silence_s` is since when that one has said nothing, None where there is none.
    """

    is_standby: bool
    written_bytes: int = 0
    followed_bytes: int = -1
    silence_s: float | None = None


def primary_part(node: Node, environment: Mapping[str, str]) -> Part:
    """Return the part of a server that others copy."""
    return postgres.part(node.server, node.port, node.url, node.password, environment, SETTINGS)


def standby_part(node: Node, primary: Node, environment: Mapping[str, str]) -> Part:
    """Return the part of the server that follows `primary`."""
    way = f"host=127.0.0.1 port={primary.port} user={postgres.OWNER} application_name={STANDBY}"
    more = SETTINGS | {"primary_conninfo": way, "primary_slot_name": STANDBY}
    own = {**environment, "PGPASSWORD": node.password}
    return postgres.part(node.server, node.port, node.url, node.password, own, more)


async def copy(node: Node, primary: Node, environment: Mapping[str, str]) -> None:
    """Replace the data of a server that does not run by a copy of the primary's, to be started as its standby."""
    data = node.server.data
    shutil.rmtree(data, ignore_errors=True)
    await postgres.at(data)
    way = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", postgres.OWNER, "-S", STANDBY)
    words = ("-D", str(data), "-X", "stream", "-c", "fast", "--no-password", "--no-sync", *way)
    program = str(node.server.binaries / "pg_basebackup")
    own = {**environment, "PGPASSWORD": node.password}
    await postgres.run(*node.server.user, program, *words, environment=own)
    (data / "standby.signal").touch()
    await postgres.synced()


def look(node: Node) -> Seen | None:
    """Ask a server over a new connection how it stands; None when it does not answer in time. Blocks that long."""
    until = time.monotonic() + LOOK_S
    connection = psycopg2.connect(node.url, password=node.password, async_=True)
    try:
        _wait(connection, until)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            _wait(connection, until)
            if cursor.fetchall()[0][0]:
                return Seen(is_standby=True)
            cursor.execute(_STANDING, (STANDBY,))
            _wait(connection, until)
            written, followed, silence_s = cursor.fetchall()[0]
    except psycopg2.OperationalError:
        return None
    finally:
        connection.close()
    if silence_s is None:
        return Seen(is_standby=False, written_bytes=int(written))
    return Seen(False, int(written), int(followed), float(silence_s))


def _wait(connection: psycopg2.extensions.connection, until: float) -> None:
    """Wait for what was asked; the server's own deadlines do not hold where it is stopped."""
    while (state := connection.poll()) != extensions.POLL_OK:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise psycopg2.OperationalError("the server did not answer in time")
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        poller.poll(left_s * 1000)


def make_slot(primary: Node) -> None:
    """Have the primary keep what a new standby will need, and nothing for an old one."""
    with _asked(primary) as ask:
        ask("SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE active")
        ask("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        ask("SELECT pg_create_physical_replication_slot(%s, true)", STANDBY)


def stand_alone(node: Node) -> None:
    """Let a server that was one of two be the whole database, and keep nothing for a standby that is no more."""
    promote(node)
    with _asked(node) as ask:
        ask("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def wait_for_standby(primary: Node, name: str) -> None:
    """Let each commit wait for the standby of this name; for none when it is empty, not even those that wait now."""
    with _asked(primary) as ask:
        ask("ALTER SYSTEM SET synchronous_standby_names = %s", name)
        ask("SELECT pg_reload_conf()")


def promote(node: Node) -> None:
    """Make a standby the primary; a server that is one already stays it."""
    with _asked(node) as ask:
        ask("SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(true, %s) END", PROMOTE_S)
        ask("ALTER SYSTEM RESET synchronous_standby_names")
        ask("SELECT pg_reload_conf()")


@contextlib.contextmanager
def _asked(node: Node) -> Iterator[Any]:
    """Yield a function that runs statements, each by itself, as the owner."""
    connection = psycopg2.connect(node.url, password=node.password, connect_timeout=CALL_S)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield lambda statement, *parameters: cursor.execute(statement, parameters or None)
    finally:
        connection.close()
