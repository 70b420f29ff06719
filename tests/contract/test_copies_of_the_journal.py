"""From a journal of the real matching service through stream, archive and index, with the checkers over all of it."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import psycopg2
import pytest
from opensearchpy import OpenSearch

from exchange import search
from exchange.archive import archive
from exchange.commands import CancelOrders, Command
from exchange.deliveries import deliveries
from exchange.indexing import index
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce, order_id_of
from exchange.settings import Bootstrap
from matching_service import bootstrap
from matching_service.database import opened
from matching_service.publisher import Publisher, publish_again
from matching_service.seed import account_id_of
from tests.aws_server import REGION, aws_server
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.checkers.stores import archive_lines, check_copies, stream_records
from tests.executions import kinesis_event
from tests.random_commands import Commands
from tests.search_server import search_server
from tests.servers import postgres

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client

STREAM, BUCKET = "executions", "archive"


@dataclass(frozen=True, slots=True)
class Stores:
    """Empty stores for what follows the journal."""

    kinesis: "KinesisClient"
    s3: "S3Client"
    index: OpenSearch


def an_order(number: int, name: str, side: Side, price_ticks: int, quantity_lots: int) -> PlaceOrder:
    account_id, client_order_id = account_id_of(name), f"{name}-{number}"
    order_id = order_id_of(1, account_id, client_order_id)
    symbol = ("BTC-USD", "ETH-USD", "SOL-USD")[number % 3]
    limit, gtc = OrderType.LIMIT, TimeInForce.GTC
    return PlaceOrder(order_id, account_id, client_order_id, symbol, side, limit, quantity_lots, price_ticks, gtc)


def commands() -> list[Command]:
    """Sixty orders of three accounts, of which some rest, some trade, some cannot be paid; then some are canceled."""
    placed: list[Command] = []
    for number in range(20):
        placed += [
            an_order(number, "maker", Side.SELL, 10_000 + number, 500),
            an_order(number, "alice", Side.BUY, 10_005 + number % 7, 130 * number + 1),
            an_order(number, "bob", Side.BUY, 9_990 - number, 10**9 if number % 5 == 0 else 40),
        ]
    return [*placed, CancelOrders("request-1", account_id_of("bob"), None, None)]


@pytest.fixture(scope="module")
def dsn() -> str:
    """A database in which the real matching service has journaled the seed and the commands, batch by batch."""
    url = postgres()
    settings = Bootstrap(url, url, "", "secret", "00" * 32)
    bootstrap.run(settings, None, "")
    with opened(url, "", "test") as connection:
        asked = commands()
        for first in range(0, len(asked), 9):
            bootstrap.submit(settings, connection, asked[first : first + 9])
    return url


@pytest.fixture(scope="module")
def every_kind() -> str:
    """A database in which it has journaled commands of every kind."""
    url = postgres()
    settings = Bootstrap(url, url, "", "secret", "00" * 32)
    bootstrap.run(settings, None, "")
    stream = Commands(random.Random(5), lambda: time.time_ns() // 1000)
    with opened(url, "", "test") as connection:
        for _ in range(10):
            bootstrap.submit(settings, connection, list(stream.take(60)))
    return url


@pytest.fixture
def stores() -> Iterator[Stores]:
    with aws_server() as aws, search_server() as searched:
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        kinesis, s3 = session.client("kinesis", endpoint_url=aws), session.client("s3", endpoint_url=aws)
        kinesis.create_stream(StreamName=STREAM, ShardCount=2)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Stores(kinesis, s3, search.client(searched))


def published(dsn: str, stores: Stores) -> None:
    with opened(dsn, "", "publisher") as connection:
        publish_again(connection, 1, documents=1_000)
        publisher = Publisher(connection, stores.kinesis, STREAM, 1)
        while publisher.turn():
            pass


def consumed(stores: Stores) -> None:
    received = deliveries(kinesis_event(*stream_records(stores.kinesis, STREAM)))
    assert archive(stores.s3, BUCKET, received).failed == {}
    assert index(stores.index, received).failed == {}
    stores.index.indices.refresh(index="_all")


def problems(dsn: str, stores: Stores) -> list[str]:
    return check_copies(dsn, stores.kinesis, STREAM, stores.s3, BUCKET, stores.index)


def run(dsn: str, statement: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def a_copy_of(dsn: str, name: str) -> str:
    parts = urlsplit(dsn)
    run(parts._replace(path="/postgres").geturl(), f"CREATE DATABASE {name} TEMPLATE {parts.path[1:]}")
    return parts._replace(path=f"/{name}").geturl()


def test_a_journal_of_the_matching_service_violates_nothing(dsn: str) -> None:
    assert check_all(dsn) == []


def test_the_journal_replayed_makes_its_events_and_the_state_of_the_tables(dsn: str) -> None:
    assert check_replay(dsn) == []


def test_the_archive_replayed_makes_the_state_of_the_tables(dsn: str, stores: Stores) -> None:
    published(dsn, stores)
    consumed(stores)

    assert check_replay(dsn, archive_lines(stores.s3, BUCKET)) == []


def test_stream_archive_and_index_hold_exactly_the_journal(dsn: str, stores: Stores) -> None:
    published(dsn, stores)
    consumed(stores)

    assert problems(dsn, stores) == []
    assert stores.index.count(index="trades-*")["count"] > 10


def test_the_copies_of_commands_of_every_kind_hold_exactly_the_journal(every_kind: str, stores: Stores) -> None:
    published(every_kind, stores)
    consumed(stores)

    assert problems(every_kind, stores) == []
    assert check_all(every_kind) == []
    assert check_replay(every_kind) == []
    assert check_replay(every_kind, archive_lines(stores.s3, BUCKET)) == []


def test_publishing_and_consuming_everything_again_changes_nothing(dsn: str, stores: Stores) -> None:
    for _ in range(2):
        published(dsn, stores)
        consumed(stores)

    assert problems(dsn, stores) == []


def test_what_the_copies_lost_or_made_up_is_found(dsn: str, stores: Stores) -> None:
    published(dsn, stores)
    consumed(stores)
    order = search.search_orders(stores.index, {}, 1, None).documents[0]
    trade = search.search_trades(stores.index, {}, 1, None).documents[0]
    stores.index.delete_by_query(index="orders-*", body={"query": {"ids": {"values": [order["order_id"]]}}})
    stores.index.index(index="trades-2000.01", id="1-1-1", body=trade | {"trade_id": "1-1-1"}, refresh=True)
    objects = stores.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    stores.s3.delete_object(Bucket=BUCKET, Key=objects[0]["Key"])

    found = problems(dsn, stores)

    assert f"I10: order {order['order_id']} is not in the index" in found
    assert "I10: trade 1-1-1 is in the index and nowhere else" in found
    assert any(problem.startswith("I9: the archive misses") for problem in found)


@pytest.mark.parametrize(
    ("violation", "problem"),
    [
        (
            "UPDATE balances SET available = available + 1 WHERE account_id = 'acc_bob' AND asset = 'USD'",
            "I3: ('acc_bob'",
        ),
        ("UPDATE balances SET held = held + 1, available = available - 1 WHERE account_id = 'acc_maker'", "holds"),
        ("UPDATE ledger SET amount = amount * 2 WHERE kind = 'fee' AND account_id = 'fees'", "sums to"),
        ("UPDATE orders SET status = 'new', remaining_quantity = 1 WHERE account_id = 'acc_bob'", "I3"),
        ("UPDATE orders SET price = 1 WHERE side = 'sell' AND status IN ('new', 'partially_filled')", "I5: the book"),
        ("UPDATE journal SET commands = replace(commands, 'alice-1', 'alice-9')", "breaks the chain"),
        ("DELETE FROM journal WHERE first_sequence = (SELECT max(first_sequence) FROM journal)", "I6: the fence"),
        ("UPDATE fence SET epoch = 0", "I6: the fence"),
    ],
)
def test_a_violation_planted_in_the_database_is_found(dsn: str, violation: str, problem: str) -> None:
    planted = a_copy_of(dsn, f"planted_{abs(hash(violation))}")
    run(planted, violation)

    assert any(problem in found for found in check_all(planted))


@pytest.mark.parametrize(
    ("violation", "problem"),
    [
        ("UPDATE balances SET available = available + 1 WHERE account_id = 'acc_bob'", "I14: balance/acc_bob"),
        ("UPDATE orders SET remaining_quantity = remaining_quantity + 1 WHERE status = 'new'", "are no state"),
        ("UPDATE orders SET priority_sequence = priority_sequence - 1 WHERE status = 'new'", "I14: order/"),
        ("UPDATE journal SET events = replace(events, '\"user\"', '\"oops\"')", "is replayed as OrderCanceled"),
        (
            "UPDATE journal SET events = replace(events, ']]]', '],[\"TimeAdvanced\"]]]')",
            "has more events than its replay",
        ),
        ("DELETE FROM journal WHERE first_sequence = 1", "follows 0"),
        ("UPDATE journal SET state_hash = decode(repeat('00', 32), 'hex')", "another hash at"),
    ],
)
def test_what_a_replay_contradicts_is_found(dsn: str, violation: str, problem: str) -> None:
    planted = a_copy_of(dsn, f"replayed_{abs(hash(violation))}")
    run(planted, violation)

    assert any(problem in found for found in check_replay(planted)), check_replay(planted)[:5]
