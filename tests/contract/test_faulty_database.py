"""The matching service and its callers on a database that is reached badly, refuses, or has no room left."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from matching_service.migrations import migrate
from tests.replicated import Databases, database_alone
from tests.servers import valkey
from tests.tcp_proxy import TcpProxy, tcp_proxy
from tests.trading import Trader, problems, trading, until_answered
from tests.until import until

RESETS = 5
SILENCE_S = 3.0
DELAY_S = 0.5
VOLUME_MIB = 160
LEFT_MIB = 2


@contextmanager
def started(folder: Path) -> Iterator[Databases]:
    with database_alone(folder) as running:
        with closing(running.connected()) as connection:
            migrate(connection)
        yield running


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with started(tmp_path_factory.mktemp("faulty") / "state") as running:
        yield running


@pytest.fixture
def proxy(database: Databases) -> Iterator[TcpProxy]:
    with tcp_proxy(database.port) as running:
        yield running


@pytest.fixture
def traders(database: Databases, proxy: TcpProxy) -> Iterator[list[Trader]]:
    """Traders of a service; both reach the database by the proxy, which is well when the test ends."""
    with trading(database.url_at(proxy.port), valkey()) as running:
        until_answered(running, time.monotonic())
        yield running
        proxy.pass_on()
        until_answered(running, time.monotonic())
    assert problems(database.url, running) == []


def test_connections_that_are_reset_lose_nothing(traders: list[Trader], proxy: TcpProxy) -> None:
    for _ in range(RESETS):
        proxy.reset()
        until_answered(traders, time.monotonic())


def test_a_database_that_falls_silent_loses_nothing(traders: list[Trader], proxy: TcpProxy) -> None:
    answers = sum(len(trader.times) for trader in traders)

    proxy.swallow()
    threading.Event().wait(SILENCE_S)

    assert sum(len(trader.times) for trader in traders) < answers + 100
    proxy.pass_on()
    until_answered(traders, time.monotonic())


def test_a_database_half_a_second_away_loses_nothing(traders: list[Trader], proxy: TcpProxy) -> None:
    proxy.delay(DELAY_S / 2)

    threading.Event().wait(SILENCE_S)


def test_a_batch_that_waits_for_a_lock_is_committed_once(traders: list[Trader], database: Databases) -> None:
    with closing(database.connected()) as connection, connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM fence FOR UPDATE")
        threading.Event().wait(SILENCE_S)
        cursor.execute("ROLLBACK")

    until_answered(traders, time.monotonic())


@pytest.mark.parametrize(
    "code", ["40001", "40P01", "55P03", "53100", "57014"], ids=["serialization", "deadlock", "lock", "full", "canceled"]
)
def test_a_batch_that_the_database_refuses_has_not_happened(
    traders: list[Trader], database: Databases, code: str
) -> None:
    database.value("CREATE SEQUENCE refused")
    database.value(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('refused') <= 3 THEN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END IF;"
        " RETURN NEW; END $$"
    )
    database.value("GRANT ALL ON SEQUENCE refused TO PUBLIC")
    try:
        database.value("CREATE TRIGGER refusing BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION refuse()")
        assert until(lambda: database.value("SELECT last_value > 3 FROM refused"), 20)
        until_answered(traders, time.monotonic())
    finally:
        database.value("DROP FUNCTION refuse CASCADE")
        database.value("DROP SEQUENCE refused")


@contextmanager
def volume() -> Iterator[Path]:
    """Mount a file system of fixed size where everybody may enter; skip the test where that cannot be done."""
    folder = Path(tempfile.mkdtemp(prefix="exchange-volume-"))
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={VOLUME_MIB}m", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounting.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a volume of fixed size cannot be mounted: {mounting.stderr.strip()}")
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def moved(source: Path, target: Path) -> None:
    """Move a folder to another volume and leave a link."""
    owner = source.stat()
    shutil.copytree(source, target, symlinks=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    shutil.copystat(source, target)
    shutil.rmtree(source)
    source.symlink_to(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a volume of fixed size")
@pytest.mark.parametrize("part", ["data", "log"])
def test_a_full_volume_stops_orders_and_loses_nothing(tmp_path: Path, part: str) -> None:
    state = tmp_path / "state"
    with started(state):
        pass
    with volume() as small:
        data = state / "postgres"
        if part == "log":
            moved(data / "pg_wal", small / "pg_wal")
        else:
            moved(data / "base", small / "base")
        with database_alone(state) as database, trading(database.url, valkey()) as traders:
            until_answered(traders, time.monotonic())
            ballast = small / "ballast"
            with ballast.open("wb") as file:
                file.truncate(0)
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small).free - (LEFT_MIB << 20))
            assert until(lambda: is_stopped(traders), 60), "the volume never got full"
            ballast.unlink()
            until_answered(traders, time.monotonic(), 60)
        with database_alone(state) as database:
            assert problems(database.url, traders) == []


def is_stopped(traders: list[Trader]) -> bool:
    """Whether nobody has had an answer for a second."""
    return max(trader.times[-1] for trader in traders) < time.monotonic() - 1.0
