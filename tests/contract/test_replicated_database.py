"""The pair of databases by itself: who is promoted when, what a lost standby means, and what a restart finds."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.replicated import Databases, database_alone, databases
from tests.until import until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("pair") / "state") as running:
        running.value("CREATE TABLE written (number bigserial, what text)")
        yield running


@pytest.fixture(autouse=True)
def _fit(pair: Databases) -> None:
    pair.until_fit()


def write(pair: Databases, what: str) -> object:
    return pair.value(f"INSERT INTO written (what) VALUES ('{what}') RETURNING number")


def written(pair: Databases) -> object:
    return pair.value("SELECT array_agg(what ORDER BY number) FROM written")


def test_what_is_acknowledged_is_on_the_standby(pair: Databases) -> None:
    number = write(pair, "copied")

    assert until(lambda: pair.value("SELECT max(number) FROM written", pair.standby) == number, 5)
    assert pair.value("SELECT sync_state FROM pg_stat_replication") == "sync"


def test_a_killed_primary_is_replaced_and_comes_back_as_the_standby(pair: Databases) -> None:
    old, new = pair.roles.primary, pair.standby
    write(pair, "before the kill")

    pair.send(old, signal.SIGKILL)

    assert until(lambda: is_writable(pair), 10)
    assert "before the kill" in str(written(pair))
    assert pair.roles.primary == new
    pair.until_fit()
    assert pair.value("SELECT pg_is_in_recovery()", old) is True


def test_a_primary_that_does_not_answer_is_replaced_and_never_serves_again(pair: Databases) -> None:
    old = pair.roles.primary
    stopped = pair.pid(old)
    kept = pair.connected()

    pair.send(old, signal.SIGSTOP)

    assert until(lambda: pair.roles.primary != old and is_writable(pair), 15)
    assert not Path(f"/proc/{stopped}").exists()
    with pytest.raises(psycopg2.OperationalError):
        kept.cursor().execute("INSERT INTO written (what) VALUES ('by the old primary')")
    pair.until_fit()
    assert "by the old primary" not in str(written(pair))


def is_writable(pair: Databases) -> bool:
    try:
        return write(pair, "again") is not None
    except psycopg2.Error:
        return False


def test_a_stopped_standby_makes_writes_wait_and_is_given_up(pair: Databases) -> None:
    primary, standby = pair.roles.primary, pair.standby
    done = threading.Event()
    pair.send(standby, signal.SIGSTOP)

    def write_once() -> None:
        write(pair, "while it was stopped")
        done.set()

    writing = threading.Thread(target=write_once)

    writing.start()

    assert not done.wait(0.5)
    assert pair.value("SELECT count(*) FROM written WHERE what = 'while it was stopped'") == 0
    assert done.wait(10)
    writing.join()
    assert pair.roles.primary == primary
    pair.until_fit()
    assert "while it was stopped" in str(pair.value("SELECT array_agg(what) FROM written", standby))


def test_a_primary_that_dies_without_a_fit_standby_is_started_again_with_all_that_it_had(pair: Databases) -> None:
    primary = pair.roles.primary
    pair.send(pair.standby, signal.SIGKILL)
    assert until(lambda: not pair.roles.is_promotable, 10)
    write(pair, "without a copy")

    pair.send(primary, signal.SIGKILL)

    assert until(lambda: is_writable(pair), 15)
    assert pair.roles.primary == primary
    assert "without a copy" in str(written(pair))


def test_a_standby_that_stands_still_when_the_primary_dies_is_started_again_as_the_primary(pair: Databases) -> None:
    old, new = pair.roles.primary, pair.standby
    write(pair, "before both failed")

    pair.send(new, signal.SIGSTOP)
    pair.send(old, signal.SIGKILL)

    assert until(lambda: pair.roles.primary == new and is_writable(pair), 30)
    assert "before both failed" in str(written(pair))


def test_a_state_survives_being_switched_to_two_servers_failing_over_and_being_switched_back(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with database_alone(state) as one:
        one.value("CREATE TABLE written (number bigserial, what text)")
        write(one, "alone")
    with databases(state) as two:
        write(two, "by the first")
        two.send_alone("postgres", signal.SIGKILL)
        assert until(lambda: two.roles.primary == "postgres-2" and is_writable(two), 15)
        write(two, "by the second")
        two.until_fit()
    with databases(state) as two_again:
        write(two_again, "after a restart")
    with database_alone(state) as one:
        assert one.value("SELECT array_agg(what ORDER BY number) FROM written WHERE what <> 'again'") == [
            "alone", "by the first", "by the second", "after a restart",
        ]  # fmt: skip
        assert is_writable(one)
        assert one.value("SELECT count(*) FROM pg_replication_slots") == 0
        assert sorted(path.name for path in state.glob("postgres*")) == ["postgres-2"]
