"""When a new leader lets the requests in: at once after a hand-over, else when it has read what waits, or soon."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from exchange import queued
from exchange.errors import Unavailable
from exchange.orders import Side
from exchange.queued import QueuedCommand
from exchange.settings import Service as Settings
from matching_service import lease
from matching_service.database import opened, rows
from matching_service.service import Service
from matching_service.waiting_room import OrderStream
from tests.aws_server import CREDENTIALS
from tests.kinesis import Stream
from tests.servers import postgres, valkey
from tests.serving import CELL, SECRET, limit, running, seeded, serving, settings, submitted
from tests.tasks import PATIENCE_S, Cell, cell
from tests.until import until

STREAM = "orders"
NOWHERE = {"ORDERS_STREAM": STREAM, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **CREDENTIALS}
"""A stream of orders that refuses every connection."""
NOW = 4_000_000_000_000_000


class SilentStream(Stream):
    """A stream that answers nobody before it is told to."""

    def __init__(self) -> None:
        super().__init__(STREAM, 1)
        self.is_asked, self.answers = threading.Event(), threading.Event()

    def describe_stream_summary(self, *, StreamName: str) -> Any:  # noqa: N803
        """As AWS does, late."""
        self.is_asked.set()
        assert self.answers.wait(60)
        return super().describe_stream_summary(StreamName=StreamName)


@pytest.fixture
def made() -> Iterator[Cell]:
    with cell() as given:
        yield given


@pytest.fixture
def given() -> Settings:
    """A seeded cell that nobody leads."""
    found = settings(postgres(), valkey())
    with serving(found) as client:
        seeded(client)
    return replace(found, orders_stream=STREAM)


@pytest.fixture
def silent() -> Iterator[SilentStream]:
    stream = SilentStream()
    yield stream
    stream.answers.set()


def reading(given: Settings, stream: Stream) -> Service:
    """A service that reads its orders from this stream."""
    service = Service(given)
    service.order_stream = OrderStream(STREAM, lambda: stream)
    return service


def holder(given: Settings) -> str:
    with opened(given.database_url, "", "test") as connection:
        found = lease.standing(connection, CELL)
    return found.holder if found else ""


@contextmanager
def kept_holders(database_url: str) -> Iterator[list[str]]:
    """Give every holder that the lease row had in the block, when that has ended."""
    found: list[str] = []
    with opened(database_url, "", "test") as connection:
        rows(connection, "CREATE TABLE holders (number serial, holder text)")
        rows(
            connection,
            "CREATE FUNCTION keep_holder() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO holders (holder) VALUES (new.holder); RETURN new; END $$",
        )
        rows(connection, "CREATE TRIGGER kept AFTER UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION keep_holder()")
        yield found
        found += [held for (held,) in rows(connection, "SELECT holder FROM holders ORDER BY number")]


def marks(holders: list[str]) -> set[str]:
    """Return how the lease was given back."""
    return {mark for mark in (lease.RELEASED, lease.GIVEN_UP) if any(held.startswith(mark) for held in holders)}


def test_a_leader_that_steps_down_after_a_failure_hands_nothing_over(given: Settings) -> None:
    with (
        serving(replace(given, orders_stream="")) as client,
        opened(given.database_url, "", "test") as connection,
    ):
        submitted(client, limit("alice", Side.BUY, 5, 3_000_000))
        with kept_holders(given.database_url) as holders:
            rows(connection, "UPDATE fence SET epoch = epoch + 1")
            submitted(client, limit("alice", Side.BUY, 5, 3_000_000))

    assert marks(holders) == {lease.GIVEN_UP}


def test_a_leader_that_is_told_to_stop_hands_over(given: Settings) -> None:
    with kept_holders(given.database_url) as holders, serving(replace(given, orders_stream="")) as client:
        submitted(client, limit("alice", Side.BUY, 5, 3_000_000))

    assert marks(holders) == {lease.RELEASED}


def test_a_leader_that_is_told_to_stop_behind_a_closed_door_stops_and_hands_nothing_over(
    given: Settings, silent: SilentStream
) -> None:
    before = holder(given)

    with kept_holders(given.database_url) as holders, running(reading(given, silent)):
        assert until(lambda: holder(given) != before, PATIENCE_S)

    assert marks(holders) == {lease.GIVEN_UP}


def test_the_door_opens_though_the_stream_answers_nothing_and_what_waits_is_taken_when_it_does(
    given: Settings, silent: SilentStream
) -> None:
    waiting = limit("alice", Side.SELL, 5, 3_000_000, "waited")
    data = queued.encode(SECRET, QueuedCommand(CELL, NOW, waiting))
    silent.put("shardId-000000000000", data, queued.partition_key(CELL, waiting.account_id))
    service = reading(given, silent)

    with running(service) as client, opened(given.database_url, "", "test") as connection:
        assert until(lambda: service.health.document()["role"] == "leader", PATIENCE_S)
        [answer] = submitted(client, limit("bob", Side.BUY, 1, 2_000_000, "direct"))
        assert (answer.code, silent.is_asked.is_set(), silent.answers.is_set()) == (None, True, False)
        silent.answers.set()
        taken = "SELECT client_order_id FROM orders ORDER BY first_sequence"
        assert until(lambda: rows(connection, taken) == [("direct",), ("waited",)], PATIENCE_S)


def test_a_leader_behind_a_closed_door_notices_that_its_lease_is_lost(given: Settings, silent: SilentStream) -> None:
    before = holder(given)
    service = reading(given, silent)

    with running(service), opened(given.database_url, "", "test") as connection:
        assert until(lambda: holder(given) != before, PATIENCE_S)
        with kept_holders(given.database_url) as holders:
            rows(connection, "UPDATE lease SET holder = 'another', expires = clock_timestamp() + interval '1 minute'")
            assert until(lambda: service.health.document()["role"] == "standby", PATIENCE_S)

    assert set(holders) == {"another"}


def test_a_hand_over_reads_where_the_waiting_room_was_left_before_anybody_is_let_in(made: Cell) -> None:
    leader = made.first(**NOWHERE)
    standby = made.start(**NOWHERE)
    made.until_healthy(standby)
    client = made.client(timeout_ms=500)

    locking = psycopg2.connect(made.database_url)
    try:
        with locking, locking.cursor() as cursor, opened(made.database_url, "", "test") as connection:
            cursor.execute("LOCK TABLE stream_positions IN ACCESS EXCLUSIVE MODE")
            leader.process.terminate()
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%stream_positions%'"
            assert until(lambda: rows(connection, waits), PATIENCE_S)
            with pytest.raises(Unavailable):
                client.submit([limit("alice", Side.BUY, 5, 3_000_000)])
    finally:
        locking.close()
    [answer] = submitted(client, limit("alice", Side.BUY, 5, 3_000_000))
    client.close()

    assert answer.code is None
    assert standby.health()["epoch"] == 2
