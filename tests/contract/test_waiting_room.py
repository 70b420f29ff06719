"""The leader's end of the waiting room on a real stream, database and Redis: what waited is taken once, in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import boto3
import pytest

from exchange import queued
from exchange.commands import AmendOrder, CancelOrder
from exchange.orders import PlaceOrder, Side
from exchange.queued import QueuedCommand
from exchange.settings import Service as Settings
from matching_service.database import opened, rows
from tests.aws_server import CREDENTIALS, aws_server
from tests.checkers.database import check_all
from tests.servers import postgres, valkey
from tests.serving import SECRET, limit, seeded, serving, settings, submitted
from tests.until import until

STREAM = "orders"
NAMES = ("alice", "bob")
NOW = 4_000_000_000_000_000
"""An arrival far in the future: no deadline passes during a test."""


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with aws_server() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        yield url


@pytest.fixture
def kinesis(aws: str) -> Iterator[Any]:
    client: Any = boto3.client("kinesis", endpoint_url=aws)
    client.create_stream(StreamName=STREAM, ShardCount=2)
    yield client
    client.delete_stream(StreamName=STREAM)


@pytest.fixture
def given(kinesis: Any) -> Settings:
    """A seeded cell that nobody leads, and an empty stream."""
    made = settings(postgres(), valkey())
    with serving(made) as client:
        seeded(client)
    return replace(made, orders_stream=STREAM)


def put(kinesis: Any, *commands: queued.Queueable, arrived: int = NOW, secret: str = SECRET, cell: int = 1) -> None:
    for command in commands:
        data = queued.encode(secret, QueuedCommand(cell, arrived, command))
        key = queued.partition_key(cell, command.account_id)
        kinesis.put_record(StreamName=STREAM, PartitionKey=key, Data=data)


def orders(given: Settings) -> list[tuple[Any, ...]]:
    with opened(given.database_url, "", "test") as connection:
        return rows(connection, "SELECT client_order_id, status, reason FROM orders ORDER BY first_sequence")


def wait_for(given: Settings, count: int) -> list[tuple[Any, ...]]:
    until(lambda: len(orders(given)) >= count, 20)
    return orders(given)


def test_what_waited_is_in_before_the_new_leader_answers_anybody(given: Settings, kinesis: Any) -> None:
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "a"), limit("bob", Side.BUY, 5, 10_000, "b"))

    with serving(given) as client:
        submitted(client, limit("maker", Side.BUY, 1, 9_000, "c"))

        assert {row[0] for row in orders(given)[:2]} == {"a", "b"}
        assert [row[1] for row in orders(given)] == ["filled", "filled", "new"]


def test_a_record_is_taken_once_whoever_leads(given: Settings, kinesis: Any) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")
    put(kinesis, order, CancelOrder("x-1", order.account_id, order.order_id))
    with serving(given):
        wait_for(given, 1)

    with serving(given) as second:
        submitted(second, limit("bob", Side.BUY, 1, 9_000, "b"))
        with opened(given.database_url, "", "test") as connection:
            taken = rows(connection, "SELECT sum(length(sequence_number)) > 0, count(*) FROM stream_positions")
            journal = rows(connection, "SELECT string_agg(commands, '') FROM journal")[0][0]

    assert orders(given) == [("a", "canceled", "user"), ("b", "new", None)]
    assert taken == [(True, 1)]
    assert journal.count('"CancelOrder"') == 1


def test_copies_on_both_paths_are_one_order(given: Settings, kinesis: Any) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")
    put(kinesis, order, order)
    with serving(given) as client:
        [copy] = submitted(client, order)
        put(kinesis, order, limit("alice", Side.SELL, 5, 10_000, "b"))

        assert wait_for(given, 2) == [("a", "new", None), ("b", "new", None)]
    assert copy.replayed


def test_an_account_is_served_in_the_order_in_which_it_asked(given: Settings, kinesis: Any) -> None:
    asked: list[PlaceOrder] = [limit("alice", Side.SELL, 5, 10_000, f"a-{number:03}") for number in range(200)]
    put_together(kinesis, asked)

    with serving(given):
        found = [row[0] for row in wait_for(given, 200)]

    assert found == [order.client_order_id for order in asked]


def test_an_order_is_amended_while_it_waits_unless_the_amendment_is_too_old(given: Settings, kinesis: Any) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")
    put(kinesis, order)
    put(kinesis, AmendOrder("x-1", order.account_id, order.order_id, 3 * 10**13, None))
    put(kinesis, AmendOrder("x-2", order.account_id, order.order_id, 10**13, None), arrived=1_700_000_000_000_000)

    with serving(given) as client:
        submitted(client, limit("bob", Side.BUY, 1, 9_000, "b"))
        with opened(given.database_url, "", "test") as connection:
            found = rows(connection, "SELECT quantity::text FROM orders WHERE client_order_id = 'a'")
            journal = rows(connection, "SELECT string_agg(events, '') FROM journal")[0][0]

    assert [value.rstrip("0") for (value,) in found] == ["0.00003"]
    assert journal.count('"OrderAmended"') == 1
    assert journal.count("waited too long") == 1


def test_an_order_that_waited_too_long_ends_expired(given: Settings, kinesis: Any) -> None:
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "a"), arrived=1_700_000_000_000_000)

    with serving(given):
        assert wait_for(given, 1) == [("a", "expired", "queue_deadline")]


def test_what_nobody_of_this_deployment_wrote_is_passed_by(given: Settings, kinesis: Any) -> None:
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "forged"), secret="another secret")
    kinesis.put_record(StreamName=STREAM, PartitionKey="x", Data=b"no record at all")
    stray = queued.encode(SECRET, QueuedCommand(1, NOW, limit("alice", Side.SELL, 5, 10_000, "stray")))
    kinesis.put_record(StreamName=STREAM, PartitionKey="1/acc_bob", Data=stray)
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "elsewhere"), cell=2)
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "a"))

    with serving(given) as client:
        submitted(client, limit("bob", Side.BUY, 1, 9_000, "b"))

    assert [row[0] for row in orders(given)] == ["a", "b"]


def test_a_stream_made_anew_is_read_from_its_beginning(given: Settings, kinesis: Any) -> None:
    put(kinesis, limit("alice", Side.SELL, 5, 10_000, "a"))
    with serving(given):
        wait_for(given, 1)
        kinesis.delete_stream(StreamName=STREAM)
        until(lambda: STREAM not in kinesis.list_streams()["StreamNames"], 10)
        kinesis.create_stream(StreamName=STREAM, ShardCount=1)
        put(kinesis, limit("alice", Side.SELL, 5, 10_000, "b"))

        assert [row[0] for row in wait_for(given, 2)] == ["a", "b"]


@pytest.mark.parametrize("failpoint", ["before_match:3:kill", "after_insert:3:kill", "after_commit:3:kill"])
def test_what_a_leader_had_not_finished_when_it_was_killed_the_next_one_takes(
    given: Settings, kinesis: Any, failpoint: str
) -> None:
    asked = [limit(name, Side.SELL, 5, 10_000, f"{name}-{number:03}") for number in range(60) for name in NAMES]
    put_together(kinesis, asked)

    killed = subprocess.run(
        [sys.executable, "-m", "matching_service"], env=variables(given, failpoint), timeout=30, check=False
    )
    left = len(orders(given))
    with serving(given):
        found = [row[0] for row in wait_for(given, len(asked))]

    assert killed.returncode == -signal.SIGKILL
    assert 0 < left < len(asked)
    for name in NAMES:
        mine = [client_order_id for client_order_id in found if client_order_id.startswith(name)]
        assert mine == [f"{name}-{number:03}" for number in range(60)]
    assert check_all(given.database_url) == []


def test_the_door_opens_though_the_stream_cannot_be_read(given: Settings) -> None:
    with serving(replace(given, orders_stream="no-such-stream")) as client:
        [answer] = submitted(client, limit("bob", Side.BUY, 1, 9_000, "b"))

    assert answer.code is None


def test_a_split_stream_goes_on_with_its_children(given: Settings, kinesis: Any) -> None:
    with serving(given):
        put(kinesis, limit("alice", Side.SELL, 5, 10_000, "a"))
        wait_for(given, 1)
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            low, high = (int(shard["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
            middle = str((low + high) // 2)
            kinesis.split_shard(StreamName=STREAM, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
        put(kinesis, limit("alice", Side.SELL, 5, 10_000, "b"), limit("bob", Side.BUY, 5, 10_000, "c"))

        assert {row[0] for row in wait_for(given, 3)} == {"a", "b", "c"}


def put_together(kinesis: Any, commands: Sequence[queued.Queueable]) -> None:
    """Put many records in one call."""
    records = [
        {
            "Data": queued.encode(SECRET, QueuedCommand(1, NOW, command)),
            "PartitionKey": queued.partition_key(1, command.account_id),
        }
        for command in commands
    ]
    kinesis.put_records(StreamName=STREAM, Records=records)


def variables(given: Settings, failpoint: str) -> dict[str, str]:
    """The environment of a service of its own process, which takes few commands at a time."""
    settings = {name.upper(): str(value) for name, value in asdict(given).items()}
    return {**os.environ, **settings, "FAILPOINT": failpoint, "BATCH_COMMANDS": "10"}
