"""Everything that must hold after a fault, asked of a running system: its database, its copies, what clients saw."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import boto3

from exchange import commands, search
from tests.checkers.database import cells, check_all, journal_rows, snapshot
from tests.checkers.history import Call, Kind, history_problems
from tests.checkers.replay import check_replay
from tests.checkers.stores import check_copies
from tests.checkers.truth import truth_of
from tests.e2e.system import System
from tests.until import until

SETTLED_S = 30.0
"""How long a queued order may wait for the leader that there is."""
QUIET_S = 90.0
"""How long the copies may take to catch up, on a busy machine."""


def reader_url(system: System) -> str:
    """Return a way into a running system's database that can read everything."""
    url = urlsplit(system.variables["DATABASE_URL"])
    password = system.variables["DATABASE_PASSWORD"]
    place = f"{url.hostname}:{url.port}"
    return url._replace(netloc=f"{url.username}:{password}@{place}" if password else f"{url.username}@{place}").geturl()


def told_problems(dsn: str, calls: Sequence[Call]) -> list[str]:
    """Compare what clients were told with what the journal holds: I1, I2, I7, I12."""
    with snapshot(dsn) as connection:
        (cell,) = cells(connection)
        rows = journal_rows(connection, cell)
        journaled = [entry for row in rows for entry in commands.journaled_decoder.decode(row.commands)]
    return list(history_problems(truth_of(cell, journaled), calls))


def problems(system: System, calls: Sequence[Call]) -> list[str]:
    """Return every violation that clients or the database show, when what was queued has had its time."""
    dsn = reader_url(system)
    queued = [call.order_id for call in calls if call.status == 202 and call.kind is Kind.PLACE]
    until(lambda: _are_known(dsn, queued), SETTLED_S)
    return told_problems(dsn, calls) + check_all(dsn) + check_replay(dsn)


def _are_known(dsn: str, order_ids: list[str]) -> bool:
    with snapshot(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders WHERE order_id = ANY(%s)", (order_ids,))
        row = cursor.fetchone()
        return row == (len(set(order_ids)),)


def copy_problems(system: System) -> list[str]:
    """Return how stream, archive and index still differ from the journal when they have had time to follow."""
    variables = system.variables
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
    )
    kinesis = session.client("kinesis", endpoint_url=variables["AWS_ENDPOINT_URL"])
    s3 = session.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"])
    index = search.client(variables["SEARCH_URL"])
    found: list[str] = []

    def is_equal() -> bool:
        stream, bucket = variables["EXECUTIONS_STREAM"], variables["ARCHIVE_BUCKET"]
        found[:] = check_copies(reader_url(system), kinesis, stream, s3, bucket, index)
        return not found

    until(is_equal, QUIET_S)
    return found
