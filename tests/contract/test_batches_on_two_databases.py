"""What becomes of one batch, and of one read, when a database of two servers fails around it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from exchange.orders import Side
from exchange.stores.database import Database, DatabaseAway
from matching_service import seed
from matching_service.database import connect
from matching_service.journal import Batch, CopyLost, Writer
from matching_service.migrations import migrate
from tests.recorder import Recorder
from tests.replicated import Databases, databases
from tests.serving import limit
from tests.until import until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("pair") / "state") as running:
        with closing(running.connected()) as connection:
            migrate(connection)
        yield running


@pytest.fixture(scope="module")
def recorder(pair: Databases) -> Iterator[Recorder]:
    made = Recorder(pair.url)
    made.commit(*seed.commands(1, "local"))
    yield made
    made.connection.close()


@pytest.fixture
def batch(recorder: Recorder, pair: Databases) -> Iterator[Batch]:
    """The next batch, not committed yet."""
    pair.until_fit()
    made = recorder.batch(limit("alice", Side.SELL, 5, 3000))
    yield made
    recorder.chain = made.chain


def writer(*urls: str) -> Writer:
    """A writer that connects to one address after the other, and to the last for ever."""
    left = list(urls)
    return Writer(lambda: connect(left.pop(0) if len(left) > 1 else left[0], "", "leader/1/test"), deadline_s=20)


def times_in_journal(pair: Databases, batch: Batch) -> object:
    return pair.value(f"SELECT count(*) FROM journal WHERE batch_id = '{batch.batch_id}'")


def test_a_batch_sent_to_a_server_that_may_only_be_read_is_sent_again_to_the_primary(
    pair: Databases, batch: Batch
) -> None:
    sending = writer(pair.url_at(pair.ports[pair.standby]), pair.url)

    sending.commit(batch)

    assert times_in_journal(pair, batch) == 1
    sending.close()


def test_a_batch_that_waits_for_a_stopped_standby_is_committed_when_that_is_given_up(
    pair: Databases, batch: Batch
) -> None:
    sending = writer(pair.url)
    pair.send(pair.standby, signal.SIGSTOP)

    sending.commit(batch)

    assert not pair.roles.is_promotable
    assert times_in_journal(pair, batch) == 1
    sending.close()


def test_a_batch_whose_wait_for_the_standby_was_canceled_is_not_acknowledged(pair: Databases, batch: Batch) -> None:
    sending, done = writer(pair.url), threading.Event()

    def cancel() -> None:
        while not done.wait(0.01):
            pair.value("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")

    canceling = threading.Thread(target=cancel)
    pair.send(pair.standby, signal.SIGSTOP)
    canceling.start()
    try:
        with pytest.raises(CopyLost):
            sending.commit(batch)
    finally:
        done.set()
        canceling.join()
        sending.close()
        assert until(lambda: not pair.roles.is_promotable, 10)


def test_a_function_reads_again_after_a_fail_over(pair: Databases, recorder: Recorder) -> None:
    pair.until_fit()
    database, old = Database(pair.url), pair.roles.primary
    statement = "SELECT count(*) FROM accounts"
    before = database.rows(statement)

    def read() -> object:
        try:
            return database.rows(statement)
        except DatabaseAway:
            return None

    pair.send_alone(old, signal.SIGKILL)

    assert until(lambda: pair.roles.primary != old and read(), 15) == before
    database.close()
