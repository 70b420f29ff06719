"""The whole service: real gateway, database and Redis; what is answered, remembered, refilled and survived."""

import json
from collections.abc import Iterator

import pytest
import redis

from exchange.commands import CancelOrder, CancelOrders, Command, CreateAccount, CreateAsset, Transfer
from exchange.errors import Unavailable
from exchange.gateway_client import GatewayClient
from exchange.orders import OrderStatus, Side
from exchange.settings import Service as Settings
from matching_service.database import opened, rows
from tests.servers import postgres, valkey
from tests.serving import limit, seeded, serving, settings, submitted


@pytest.fixture
def given() -> Settings:
    return settings(postgres(), valkey())


@pytest.fixture
def client(given: Settings) -> Iterator[GatewayClient]:
    with serving(given) as made:
        seeded(made)
        yield made


def eventually(redis_url: str, key: str, expected: str) -> dict[str, object]:
    """Wait for a body that holds `expected`; the test's deadline is 10 s."""
    with redis.Redis.from_url(redis_url) as connection:
        for _ in range(200):
            body = connection.get(key)
            if body is not None and expected in body.decode():
                found: dict[str, object] = json.loads(body)
                return found
            connection.blpop(["nothing comes here"], timeout=0.05)
    raise AssertionError(f"{key} never held {expected}: {body!r}")


def test_a_crossing_pair_trades_at_the_price_of_the_maker(client: GatewayClient) -> None:
    [resting] = client.submit([limit("alice", Side.SELL, 100, 10_000, "a")])
    [taking] = client.submit([limit("bob", Side.BUY, 60, 10_001, "b")])

    assert resting.order is not None and resting.order.status is OrderStatus.NEW
    assert taking.order is not None and taking.order.status is OrderStatus.FILLED
    [fill] = taking.fills
    assert (fill.price_ticks, fill.quantity_lots, fill.quote, fill.fee, fill.fee_asset) == (
        10_000, 60, 6_000_000, 120, "BTC",
    )  # fmt: skip
    assert taking.sequence == resting.sequence + 1


def test_a_copy_gets_the_order_as_it_is_now_and_the_fills_of_its_own_command(client: GatewayClient) -> None:
    buy = limit("bob", Side.BUY, 60, 10_000, "b")
    client.submit([limit("alice", Side.SELL, 50, 10_000, "a")])
    [first] = client.submit([buy])
    client.submit([limit("alice", Side.SELL, 10, 10_000, "c")])

    [copy] = client.submit([buy])

    assert copy.replayed
    assert copy.fills == first.fills
    assert copy.order is not None and copy.order.status is OrderStatus.FILLED


def test_copies_within_one_submission_have_one_effect(client: GatewayClient) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")

    answers = client.submit([order] * 50)

    assert [answer.replayed for answer in answers] == [False] + [True] * 49
    assert len({answer.sequence for answer in answers}) == 1


def test_the_same_id_with_another_body_is_a_mismatch(client: GatewayClient) -> None:
    client.submit([limit("alice", Side.SELL, 5, 10_000, "a")])

    [answer] = client.submit([limit("alice", Side.SELL, 6, 10_000, "a")])

    assert answer.code == "order.duplicate_mismatch"


def test_a_refused_order_is_stored_and_its_copy_is_refused_alike(client: GatewayClient) -> None:
    too_dear = limit("alice", Side.BUY, 10**8, 10**6, "a")

    [first], [copy] = client.submit([too_dear]), client.submit([too_dear])

    assert first.code == copy.code == "order.insufficient_funds"
    assert copy.replayed and copy.order == first.order
    assert first.order is not None and first.order.status is OrderStatus.REJECTED


def test_a_cancel_tells_done_from_unknown_and_foreign(client: GatewayClient) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")
    client.submit([order])

    foreign, done, copy, again, unknown = (
        client.submit([CancelOrder(request_id, account, order_id)])[0]
        for request_id, account, order_id in (
            ("x-1", "acc_bob", order.order_id),
            ("x-2", "acc_alice", order.order_id),
            ("x-2", "acc_alice", order.order_id),
            ("x-3", "acc_alice", order.order_id),
            ("x-4", "acc_alice", "1-never"),
        )
    )

    assert foreign.code == unknown.code == "resource.not_found"
    assert done.code is None and done.order is not None and done.order.reason == "user"
    assert copy.replayed and copy.order == done.order
    assert again.code == "order.not_cancelable"


def test_canceling_all_answers_the_orders_it_canceled(client: GatewayClient) -> None:
    orders: list[Command] = [limit("alice", Side.SELL, 5, 10_000 + at) for at in range(3)]
    client.submit(orders)

    [answer] = client.submit([CancelOrders("x-1", "acc_alice", "BTC-USD", None)])
    [copy] = client.submit([CancelOrders("x-1", "acc_alice", "BTC-USD", None)])

    assert [event.order_id for event in answer.events] == [order.order_id for order in orders]  # type: ignore[union-attr]
    assert copy.replayed and copy.events == answer.events


def test_administration_is_idempotent_by_name_and_reference(client: GatewayClient) -> None:
    deposit = Transfer("deposit", "acc_bob", "USD", 100, "r-1")

    answers = client.submit(
        [
            CreateAsset("XYZ", 2),
            CreateAsset("XYZ", 2),
            CreateAsset("XYZ", 3),
            deposit,
            deposit,
            Transfer("deposit", "acc_bob", "USD", 101, "r-1"),
            Transfer("withdrawal", "acc_bob", "USD", 100, "r-1"),
            CreateAccount("x-1", "acc_new", "new"),
            CreateAccount("x-1", "acc_other", "new"),
        ]
    )

    assert [(answer.code, answer.replayed) for answer in answers] == [
        (None, False),
        (None, True),
        ("admin.duplicate_mismatch", False),
        (None, False),
        (None, True),
        ("admin.duplicate_mismatch", False),
        (None, False),
        (None, False),
        (None, True),
    ]
    assert isinstance(answers[-1].command, CreateAccount) and answers[-1].command.account_id == "acc_new"


def test_a_test_order_leaves_no_trace(client: GatewayClient) -> None:
    [fine] = client.submit([limit("alice", Side.SELL, 5, 10_000, "a")], test=True)
    [dear] = client.submit([limit("alice", Side.BUY, 10**8, 10**6, "b")], test=True)
    [placed] = client.submit([limit("alice", Side.SELL, 5, 10_000, "a")])

    assert fine.code is None and dear.code == "order.insufficient_funds"
    assert not placed.replayed


def test_the_next_service_goes_on_where_the_last_one_stopped(given: Settings) -> None:
    order = limit("alice", Side.SELL, 5, 10_000, "a")
    cancel = CancelOrder("x-1", "acc_alice", order.order_id)
    with serving(given) as first:
        seeded(first)
        [placed] = first.submit([order])
        [canceled] = first.submit([cancel])

    with serving(given) as second:
        [copy] = submitted(second, order)
        [cancel_copy] = second.submit([cancel])
        [following] = second.submit([limit("alice", Side.SELL, 5, 10_000, "b")])

    assert copy.replayed and copy.order == canceled.order
    assert cancel_copy.replayed and cancel_copy.sequence == canceled.sequence
    assert following.sequence == placed.sequence + 2


def test_market_data_follows_a_commit_and_comes_back_after_a_flush(client: GatewayClient, given: Settings) -> None:
    client.submit([limit("alice", Side.SELL, 100, 10_000, "a"), limit("bob", Side.BUY, 60, 10_000, "b")])

    book = eventually(given.redis_url, "{BTC-USD}:book:50", "0.00040")
    ticker = eventually(given.redis_url, "{BTC-USD}:ticker", '"last_price":"100.00"')
    with redis.Redis.from_url(given.redis_url) as connection:
        connection.flushall()
    refilled = eventually(given.redis_url, "{BTC-USD}:book:50", "0.00040")
    eventually(given.redis_url, "{BTC-USD}:ticker", '"last_price":"100.00"')
    with redis.Redis.from_url(given.redis_url) as connection:
        trades = connection.lrange("{BTC-USD}:trades", 0, -1)
        candles = connection.zrange("{BTC-USD}:candles:1m", 0, -1)

    assert book["asks"] == [["100.00", "0.00040", 1]] and book["bids"] == []
    assert refilled == book
    assert (ticker["best_ask"], ticker["volume_24h"]) == ("100.00", "0.00060")
    assert [json.loads(trade)["price"] for trade in trades] == ["100.00"]
    assert [json.loads(candle)["trades"] for candle in candles] == [1]


def test_market_data_of_the_past_is_there_after_a_restart(given: Settings) -> None:
    with serving(given) as first:
        seeded(first)
        first.submit([limit("alice", Side.SELL, 100, 10_000, "a"), limit("bob", Side.BUY, 60, 10_000, "b")])
    with redis.Redis.from_url(given.redis_url) as connection:
        connection.flushall()

    with serving(given):
        book = eventually(given.redis_url, "{BTC-USD}:book:50", "0.00040")
        ticker = eventually(given.redis_url, "{BTC-USD}:ticker", '"last_price":"100.00"')

    assert book["asks"] == [["100.00", "0.00040", 1]]
    assert (ticker["open_24h"], ticker["volume_24h"]) == ("100.00", "0.00060")


def test_a_wrong_secret_is_shown_the_door(client: GatewayClient, given: Settings) -> None:
    stranger = GatewayClient(client._directory, "not the secret", 500)

    with pytest.raises(Unavailable) as refused:
        stranger.submit([limit("alice", Side.SELL, 5, 10_000)])

    assert refused.value.execution == "none"
    with opened(given.database_url, "", "test") as connection:
        assert rows(connection, "SELECT count(*) FROM orders") == [(0,)]


def test_the_deep_book_follows_as_well_as_the_shallow_one(client: GatewayClient, given: Settings) -> None:
    for number in range(5):
        client.submit([limit("alice", Side.SELL, 10, 10_000 + number)])
        shallow = eventually(given.redis_url, "{BTC-USD}:book:50", f"100.0{number}")
        deep = eventually(given.redis_url, "{BTC-USD}:book:1000", f"100.0{number}")

        assert deep["asks"] == shallow["asks"]
