"""The drill of a restore: a real server, its base backup and archived log, back to a point before the last commands."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from exchange.archive import archive
from exchange.deliveries import deliveries
from exchange.indexing import index
from exchange.orders import Side
from exchange.settings import Bootstrap
from exchange.stores.cache import Cache
from local import postgres
from local.state import State
from matching_service import bootstrap, timeline
from matching_service.database import opened, rows
from matching_service.publisher import Publisher
from tests.checkers.copies import archive_problems, index_problems
from tests.checkers.database import check_all, journal_rows, order_documents, snapshot, trade_documents
from tests.checkers.journal import happened
from tests.checkers.stores import archive_lines, indexed_orders, indexed_trades, stream_records
from tests.contract.test_copies_of_the_journal import BUCKET, STREAM, Stores, an_order, stores
from tests.executions import kinesis_event
from tests.servers import postgres as database
from tests.servers import valkey
from tests.until import until

__all__ = ["stores"]
START_S = 30.0
RESTORE_POINT = "before_the_mistake"


class Archived:
    """A PostgreSQL whose log is archived, and what is restored from it."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        (folder / "state").mkdir()
        self.log = folder / "log"
        self.environment = os.environ | {"PGPASSWORD": (secrets := State(folder / "state").secrets()).owner_password}
        self.server = asyncio.run(postgres.prepare(folder / "postgres", secrets, self.environment))
        self.password = secrets.owner_password
        self.restored = asyncio.run(postgres.at(folder / "restored"))
        owner = self.server.data.stat()
        self.log.mkdir()
        os.chown(self.log, owner.st_uid, owner.st_gid)

    @contextmanager
    def running(self, server: postgres.Server, **settings: str) -> Iterator[str]:
        """Run one of the two servers; yield the URL of its database once that can be written."""
        port = _free_port()
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        binary = str(server.binaries / "postgres")
        command = [*server.user, binary, "-D", str(server.data), "-p", str(port), *words]
        alone = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        process = subprocess.Popen([*command, *alone], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"postgresql://postgres:{self.password}@127.0.0.1:{port}/exchange"
            assert until(lambda: _writes(url), START_S)
            yield url
        finally:
            process.terminate()
            process.wait(30)

    def back_up(self, url: str) -> None:
        """Take a base backup, as Aurora keeps them."""
        words = (*self.server.user, str(self.server.binaries / "pg_basebackup"), "-D", str(self.restored.data))
        port = str(urlsplit(url).port)
        connection = ("-h", "127.0.0.1", "-p", port, "-U", "postgres", "-X", "none", "-c", "fast")
        subprocess.run([*words, *connection], check=True, env=self.environment, cwd="/", timeout=60)

    def aim_at_the_restore_point(self) -> None:
        """Have the copy recover to the restore point and go on from there."""
        (self.restored.data / "recovery.signal").touch()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _writes(url: str) -> bool:
    """Say whether a server takes changes, and see to it that it has the database then."""
    maintenance = urlsplit(url)._replace(path="/postgres").geturl()
    try:
        connection = psycopg2.connect(maintenance)
    except psycopg2.OperationalError:
        return False
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        if cursor.fetchone() == (True,):
            return False
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = 'exchange'")
        if cursor.fetchone() is None:
            cursor.execute("CREATE DATABASE exchange")
        return True


def settings_of(url: str) -> Bootstrap:
    return Bootstrap(url, url, "", "secret", "00" * 32)


def traded(url: str, first: int, count: int) -> None:
    """Trade through the real matching service's own path: lease, epoch, batches."""
    with opened(url, "", "test") as connection:
        for number in range(first, first + count):
            sold = an_order(number, "maker", Side.SELL, 10_000 + number, 100)
            bought = an_order(number, "alice", Side.BUY, 10_000 + number, 60)
            bootstrap.submit(settings_of(url), connection, [sold, bought])


def projected(url: str, copies: Stores, of_timeline: int) -> None:
    """Publish, archive and index; the consumers had taken what an earlier timeline left in the stream."""
    with opened(url, "", "publisher") as connection:
        publisher = Publisher(connection, copies.kinesis, STREAM, 1)
        while publisher.turn():
            pass
    there = deliveries(kinesis_event(*stream_records(copies.kinesis, STREAM)))
    received = [one for one in there if one.record is not None and one.record.timeline == of_timeline]
    assert archive(copies.s3, BUCKET, received).failed == {}
    assert index(copies.index, received).failed == {}
    copies.index.indices.refresh(index="_all")


def run(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_restored_cell_begins_a_timeline_and_its_copies_tell_the_new_history(tmp_path: Path, stores: Stores) -> None:
    archived = Archived(tmp_path)
    copy_log = {"archive_mode": "on", "archive_command": f"cp %p {archived.log}/%f"}
    with archived.running(archived.server, **copy_log) as url:
        bootstrap.run(settings_of(url), None, "")
        archived.back_up(url)
        traded(url, 0, 5)
        run(url, f"SELECT pg_create_restore_point('{RESTORE_POINT}')")
        traded(url, 100, 5)
        projected(url, stores, of_timeline=1)
        lost = set(indexed_orders(stores.index))
    archived.aim_at_the_restore_point()

    recovery = {
        "restore_command": f"cp {archived.log}/%f %p",
        "recovery_target_name": RESTORE_POINT,
        "recovery_target_action": "promote",
    }
    with archived.running(archived.restored, **recovery) as url:
        with opened(url, "", "timeline") as connection:
            timeline.begin(connection, 1, 2, 1_000)
        timeline.forget_documents(stores.index)
        traded(url, 200, 2)
        projected(url, stores, of_timeline=2)

        assert check_all(url) == []
        with snapshot(url) as connection:
            journal = happened(journal_rows(connection, 1))
            orders, trades = order_documents(connection), trade_documents(connection)
        assert len(orders) == 14
        lines = archive_lines(stores.s3, BUCKET)
        assert {line.timeline for line in lines} == {1, 2}
        assert list(archive_problems(journal, [line for line in lines if line.timeline == 2])) == []
        assert list(index_problems("order", orders, indexed_orders(stores.index))) == []
        assert list(index_problems("trade", trades, indexed_trades(stores.index))) == []
        assert len(lost - set(indexed_orders(stores.index))) == 10


def test_market_data_of_a_later_sequence_gives_way_to_a_restored_cell() -> None:
    cache = Cache(valkey(), 1.0)
    cache.call("{BTC-USD}:sequence", "SET", "{BTC-USD}:sequence", "900")

    timeline.forget_market_data(cache, ["BTC-USD"])

    assert cache.call("{BTC-USD}:sequence", "GET", "{BTC-USD}:sequence") is None
    cache.close()


@pytest.mark.parametrize("number", [1, 0, 32_768])
def test_a_timeline_that_may_have_been_used_does_not_begin(number: int) -> None:
    with opened(database(), "", "timeline") as connection:
        with pytest.raises(timeline.CannotBegin, match="on timeline 1"):
            timeline.begin(connection, 1, number, 10)

        timeline.begin(connection, 1, 2, 10)
        with pytest.raises(timeline.CannotBegin, match="on timeline 2"):
            timeline.begin(connection, 1, 2, 10)


def test_no_timeline_begins_under_a_leader() -> None:
    with opened(database(), "", "timeline") as connection:
        rows(connection, "INSERT INTO lease VALUES (1, 'x', 'x', 'x', clock_timestamp() + interval '1 minute')")

        with pytest.raises(timeline.CannotBegin, match="leads"):
            timeline.begin(connection, 1, 2, 10)
