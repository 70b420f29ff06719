"""The command line of the service: serve, publish (started by the leader), bootstrap, refill; it holds no logic."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from exchange import search, settings
from exchange.stores.cache import Cache
from matching_service import bootstrap, lease, logs, timeline
from matching_service.database import LOADING, opened, rows
from matching_service.failpoints import Failpoints
from matching_service.following import Diverged
from matching_service.publisher import Publisher, publish_again
from matching_service.service import CellStopped, Service

DOCUMENTS_OF_A_REFILL = 200_000
CACHE_TIMEOUT_S = 2.0
CELL_STOPPED = 3
"""The exit code of a leader that stopped the cell: starting it again is of no use before somebody has looked."""
DIVERGED = 4
"""The exit code of a task whose memory and the journal do not agree: started again, it begins from the tables."""
NICENESS = 10
"""The publisher gives way to the leader beside it."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m matching_service", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="lead the cell or stand by (the default)")
    commands.add_parser("publish", help="publish the journal to the stream while the parent process lives")
    commands.add_parser("refill", help="let the whole journal be published again, into a new stream")
    beginning = commands.add_parser("timeline", help="begin the next timeline, after a restore that lost something")
    beginning.add_argument("number", type=int, help="one that was never used")
    commands.add_parser("resume", help="let a cell that was stopped be led again: when somebody has looked")
    starting = commands.add_parser("bootstrap", help="migrate, make roles and index templates, seed; idempotent")
    starting.add_argument("--credentials", type=Path, help="write the seeded keys here, readable by the owner only")
    starting.add_argument("--base-url", default="", help="what to write as base_url beside them")
    starting.add_argument("--resume", action="store_true", help="let a cell that was stopped be led again")
    given = parser.parse_args(arguments)
    run = {"publish": publish, "refill": refill, "resume": resume}.get(given.command or "serve", serve)
    if given.command == "bootstrap":
        loaded = settings.load(settings.Bootstrap)
        logs.begin("bootstrap", loaded.log_level)
        bootstrap.run(loaded, given.credentials, given.base_url, given.resume)
        return 0
    service = settings.load(settings.Service)
    logs.begin(service.service_name, service.log_level)
    if given.command == "timeline":
        return begin_timeline(service, given.number)
    return run(service)


def serve(loaded: settings.Service) -> int:
    """Serve until a signal."""
    try:
        asyncio.run(_serve(loaded))
    except CellStopped as stopped:
        sys.stdout.flush()
        print(f"matching_service: the cell is stopped: {stopped}", file=sys.stderr)  # noqa: T201
        return CELL_STOPPED
    except Diverged as diverged:
        logging.getLogger(__name__).critical("diverged", extra={"why": str(diverged)})
        return DIVERGED
    return 0


async def _serve(loaded: settings.Service) -> None:
    service = Service(loaded)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    await service.run()


def publish(loaded: settings.Service) -> int:
    """Publish while the process that started this one lives."""
    import boto3

    parent = os.getppid()
    os.nice(NICENESS)
    client = boto3.client("kinesis")
    failpoints = Failpoints(loaded.failpoint)
    with opened(loaded.database_url, loaded.database_password, f"publisher/{loaded.cell}", LOADING) as connection:
        rows(connection, "SET synchronous_commit = off")  # a position lost is a batch published twice
        publisher = Publisher(connection, client, loaded.executions_stream, loaded.cell, failpoints)
        publisher.run(lambda: os.getppid() == parent)
    return 0


def resume(loaded: settings.Service) -> int:
    """Let a stopped cell be led again."""
    with opened(loaded.database_url, loaded.database_password, "resume") as connection:
        why = lease.resume_cell(connection, loaded.cell)
    logging.getLogger(__name__).info("the cell may be led", extra={"cell": loaded.cell, "was_stopped": why})
    return 0


def refill(loaded: settings.Service) -> int:
    """Set the publisher back to the beginning of the journal."""
    with opened(loaded.database_url, loaded.database_password, "refill", LOADING) as connection:
        publish_again(connection, loaded.cell, DOCUMENTS_OF_A_REFILL)
    return 0


def begin_timeline(loaded: settings.Service, number: int) -> int:
    """Begin a timeline, and forget what Redis and the index hold of the one before."""
    try:
        with opened(loaded.database_url, loaded.database_password, "timeline", LOADING) as connection:
            timeline.begin(connection, loaded.cell, number, DOCUMENTS_OF_A_REFILL)
            found = rows(connection, "SELECT symbol FROM markets WHERE cell = %s", (loaded.cell,))
    except timeline.CannotBegin as refused:
        print(f"matching_service: {refused}", file=sys.stderr)  # noqa: T201 - what the command is for
        return 1
    timeline.forget_market_data(Cache(loaded.redis_url, CACHE_TIMEOUT_S), [symbol for (symbol,) in found])
    if loaded.search_url:
        timeline.forget_documents(search.client(loaded.search_url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
