"""Tasks of one cell as real processes: who leads, who takes over, who must not; and what clients notice of it."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exchange.commands import CreateAsset
from exchange.settings import Service as Settings
from matching_service import lease
from matching_service.database import opened, rows
from matching_service.following import Diverged
from matching_service.service import Service
from tests.serving import CELL, settings, submitted
from tests.tasks import PATIENCE_S, Cell, cell
from tests.until import until


@pytest.fixture
def made() -> Iterator[Cell]:
    with cell() as given:
        yield given


def test_a_killed_leader_is_followed_at_once_and_nothing_is_lost(made: Cell) -> None:
    leader, standby = made.pair()

    with made.trading() as traders:
        for _ in range(3):
            leader.process.kill()
            standby.logged("leading")
            made.go_on(traders)
            leader, standby = standby, made.start()
            made.until_healthy(standby)

    assert leader.health()["epoch"] == 4
    assert made.problems(traders) == []


def test_a_killed_standby_is_not_noticed(made: Cell) -> None:
    leader, standby = made.pair()

    with made.trading() as traders:
        standby.process.kill()
        made.go_on(traders)

    assert (made.leader(), leader.health()["epoch"]) == (leader, 1)
    assert {told.tries for trader in traders for told in trader.told} == {1}


def test_a_leader_stopped_past_its_lease_acknowledges_nothing_stale_when_it_goes_on(made: Cell) -> None:
    leader, standby = made.pair()

    with made.trading() as traders:
        leader.signal(signal.SIGSTOP)
        standby.logged("leading")
        made.go_on(traders)
        leader.signal(signal.SIGCONT)
        leader.logged("not leading")
        made.until_healthy(leader)
        made.go_on(traders)

    assert leader.health()["role"] == "standby"
    assert made.problems(traders) == []


def test_a_leader_stopped_within_a_transaction_keeps_nobody_from_leading(made: Cell) -> None:
    leader, standby = made.pair(FAILPOINT="after_insert:20:stop")

    with made.trading() as traders:
        standby.logged("leading")
        made.go_on(traders)
        leader.signal(signal.SIGCONT)
        leader.logged("not leading")
        made.go_on(traders)

    assert made.problems(traders) == []


def test_a_leadership_is_handed_over_without_an_error_after_one_resend(made: Cell) -> None:
    leader, standby = made.pair()

    with made.trading() as traders:
        for _ in range(3):
            leader.signal(signal.SIGTERM)
            assert leader.ended() == 0
            standby.logged("leading")
            made.go_on(traders)
            leader, standby = standby, made.start()
            made.until_healthy(standby)

    assert max(told.tries for trader in traders for told in trader.told) <= 2
    assert made.problems(traders) == []


def test_of_tasks_that_start_together_one_leads(made: Cell) -> None:
    tasks = [made.launch(LEASE_MS="10000") for _ in range(3)]

    for task in tasks:
        task.until_started()
        made.until_healthy(task)

    assert sorted(task.health()["role"] for task in tasks) == ["leader", "standby", "standby"]
    with opened(made.database_url, "", "test") as connection:
        assert rows(connection, "SELECT epoch FROM fence") == [(1,)]


def test_a_task_whose_memory_changed_by_itself_stops_and_never_leads(made: Cell) -> None:
    leader = made.first()
    with in_thread(settings(made.database_url, made.redis_url)) as diverging:
        until(lambda: diverging.service.health.document()["healthy"], PATIENCE_S)
        standby = diverging.service.standby
        assert standby is not None and standby.follower is not None
        standby.follower.engine._state.accounts.balance("acc_alice", "USD").available ^= 1 << 20

        assert isinstance(diverging.ended(), Diverged)

    leader.process.kill()
    assert until(lambda: made.standing().is_free, PATIENCE_S)
    assert str(leader.process.pid) in made.standing().holder


def test_a_task_that_applies_a_batch_otherwise_than_the_leader_stops(made: Cell) -> None:
    made.first()
    with in_thread(settings(made.database_url, made.redis_url)) as diverging:
        until(lambda: diverging.service.health.document()["healthy"], PATIENCE_S)
        standby = diverging.service.standby
        assert standby is not None and standby.follower is not None
        standby.follower.chain = bytes(32)
        client = made.client()
        submitted(client, CreateAsset("XYZ", 2))
        client.close()

        assert isinstance(diverging.ended(), Diverged)


@pytest.mark.parametrize(
    ("unfitting", "why"),
    [
        ("INSERT INTO schema_migrations VALUES (9999, now())", "the schema has number 9999"),
        ("DELETE FROM schema_migrations WHERE number > 1", "the schema has number 1"),
        ("UPDATE journal SET rules_version = 99", "the journal has rules 99"),
    ],
)
def test_a_build_that_does_not_fit_is_never_healthy_and_never_leads(made: Cell, unfitting: str, why: str) -> None:
    leader = made.first()
    with opened(made.database_url, "", "test") as connection:
        rows(connection, unfitting)
    unfit = made.start()

    assert until(lambda: unfit.health()["role"] == "unfit", PATIENCE_S)
    assert why in unfit.health()["why"]
    leader.process.kill()
    assert until(lambda: made.standing().is_free, PATIENCE_S)
    assert not unfit.health()["healthy"]


def test_a_command_that_cannot_be_applied_costs_neither_the_lease_nor_the_standby(made: Cell) -> None:
    leader, standby = made.pair(FAILPOINT="before_apply:60:raise")

    with made.trading() as traders:
        leader.logged("a command could not be applied")
        made.go_on(traders)
        assert (made.leader(), leader.health()["epoch"]) == (leader, 1)
        leader.process.kill()
        standby.logged("leading")
        made.go_on(traders)

    assert made.problems(traders) == []


def test_a_second_one_within_a_minute_stops_the_cell_until_somebody_has_looked(made: Cell) -> None:
    leader, standby = made.pair(FAILPOINT="before_apply:60:raise,before_apply:90:raise")

    with made.trading() as traders:
        assert leader.ended() == 3
        assert until(lambda: standby.health()["role"] == "stopped", PATIENCE_S)
        assert "a second command could not be applied within a minute" in standby.health()["why"]
        with opened(made.database_url, "", "test") as connection:
            lease.resume_cell(connection, CELL)
        standby.logged("leading")
        made.go_on(traders)

    assert made.problems(traders) == []


@contextmanager
def in_thread(given: Settings) -> Iterator["InThread"]:
    """Run a service in a thread for the length of the block."""
    running = InThread(given)
    try:
        yield running
    finally:
        running.loop.call_soon_threadsafe(running.service.stop)
        running.thread.join(PATIENCE_S)
        running.loop.close()


class InThread:
    """A service in a thread of the test, so that the test can reach into its memory."""

    def __init__(self, given: Settings) -> None:
        self.service = Service(given)
        self.loop = asyncio.new_event_loop()
        self.outcome: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def ended(self) -> BaseException | None:
        """Wait for the end and return what ended it."""
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "the service goes on"
        return self.outcome

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self.service.run())
        except Diverged as diverged:
            self.outcome = diverged
