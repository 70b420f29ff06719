"""Durable commands: a real matching service over TLS, beside bare PostgreSQL; it starts that service and nothing else.

The service has a database of its own on the system's server; stream, archive and search are off. What it does with a
command: frame, look up the id, match, journal, orders, fills, ledger, balances, one commit a batch, answer.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg2.extensions import connection as Connection

from bench import database
from bench.budgets import DURABLE, DURABLE_P99
from bench.http import RefusedError
from bench.pipeline import Gateway, Measured, frames_of, submit
from bench.report import Figure, Round, column
from bench.system import POLL_S, NotStartedError, System, process
from bench.workload import CELL, Workload, listings
from client.latency import percentiles
from client.load import run
from exchange.commands import Command
from matching_service import migrations

COMMANDS = 60_000
UNDER_WAY = 256
"""Commands unanswered at any time: at 10,000 a second they wait 25 ms."""
START_S = 30.0


def rounds(system: System, runs: int) -> list[Round]:
    """Measure the service and the bare database in turn, `runs` times."""
    with service(system) as gateway:
        prepared(gateway, listings())
        return [_round(system, gateway) for _ in range(runs)]


def _round(system: System, gateway: Gateway) -> Round:
    workload = Workload()
    prepared(gateway, workload.accounts())
    prepared(gateway, workload.depth())
    measured = checked(run(submit(gateway, frames_of(list(workload.mixed(COMMANDS))), UNDER_WAY)))
    times = percentiles(measured.latencies)
    found = {"rate": len(measured.latencies) / measured.seconds, "p50": times.p50_ms, "p99": times.p99_ms}
    for size in database.SIZES:
        found[f"database {size}"] = database.rate(system.database_url, size, COMMANDS)
    return found


def prepared(gateway: Gateway, commands: Iterable[Command]) -> None:
    """Submit what the workload stands on, in its order."""
    checked(run(submit(gateway, frames_of(list(commands)), UNDER_WAY, connections=1)))


def checked(measured: Measured) -> Measured:
    """Return what was measured; raise `RefusedError` where a command was refused."""
    if set(measured.codes) != {"done"}:
        raise RefusedError(f"answers by code: {dict(measured.codes)}")
    return measured


@contextmanager
def service(system: System) -> Iterator[Gateway]:
    """Start a matching service on a new database of the system's server."""
    with TemporaryDirectory(prefix="exchange-bench-") as folder, database.new_database(system.database_url) as writer:
        migrations.migrate(writer)
        variables = {
            "DATABASE_URL": database.url_of(writer, system.database_url),
            "REDIS_URL": system.redis_url.removesuffix("/0") + "/1",
            "GATEWAY_SECRET": system.gateway_secret,
            "KEY_ENCRYPTION_KEY": system.key_encryption_key,
            "EXECUTIONS_STREAM": "",
            "GATEWAY_PORT": "0",
            "GATEWAY_ADDRESS": "127.0.0.1",
        }
        log = Path(folder) / "log"
        with process("-m", "matching_service", variables=variables, log=log):
            yield _leader(writer, system.gateway_secret, log)


def _leader(connection: Connection, secret: str, log: Path) -> Gateway:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT endpoint, certificate FROM lease JOIN fence USING (cell) WHERE cell = %s", (CELL,))
            row = cursor.fetchone()
        if row and '"leading"' in log.read_text(errors="replace"):
            host, _, port = row[0].rpartition(":")
            return Gateway(host, int(port), row[1], secret)
        time.sleep(POLL_S)
    raise NotStartedError(f"the matching service does not lead:\n{log.read_text(errors='replace')}")


def figures(found: Sequence[Round]) -> list[Figure]:
    """Return the table's lines."""
    largest = max(database.SIZES)
    bare = column(found, f"database {largest}")
    return [
        Figure(
            name=f"over the wire, {UNDER_WAY} under way",
            unit="commands/s",
            values=column(found, "rate"),
            limits=bare,
            limit_name=f"bare PostgreSQL, {largest} a batch",
            budget=DURABLE,
        ),
        Figure("acknowledged, p50", "ms", column(found, "p50")),
        Figure("acknowledged, p99", "ms", column(found, "p99"), budget=DURABLE_P99),
        *(
            Figure(f"bare PostgreSQL, {size} a batch", "commands/s", column(found, f"database {size}"))
            for size in database.SIZES
        ),
    ]
