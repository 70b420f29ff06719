"""Every kind of command over the wire: answered, copied, made visible, and as it was after a restart; timers fire."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from exchange.commands import (
    AmendOrder,
    CancelAllAfter,
    CancelOrder,
    ChangeAccount,
    ChangeMarket,
    Command,
    HaltExchange,
    KillSwitch,
    PlacePair,
    ResumeExchange,
)
from exchange.events import MarketChanged
from exchange.gateway_client import GatewayClient
from exchange.markets import FeeTier, MarketStatus
from exchange.orders import OrderRecord, OrderStatus, OrderType, PlaceOrder, Side, TimeInForce, order_id_of
from exchange.settings import Service as Settings
from exchange.wire import Answer
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.servers import postgres, valkey
from tests.serving import CELL, seeded, serving, settings, submitted
from tests.until import until

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def given() -> Settings:
    return settings(postgres(), valkey())


@pytest.fixture
def client(given: Settings) -> Iterator[GatewayClient]:
    with serving(given) as made:
        seeded(made)
        yield made


def order(name: str, side: Side, kind: OrderType, lots: int, at: int | None = None, **more: Any) -> PlaceOrder:
    """An order of alice's, or of bob's where its name begins with his, in BTC-USD."""
    account = "acc_bob" if name.startswith("bob") else "acc_alice"
    more = {"time_in_force": TimeInForce.GTC, **more}
    return PlaceOrder(order_id_of(CELL, account, name), account, name, "BTC-USD", side, kind, lots, at, **more)


def limit(name: str, side: Side, lots: int, at: int, **more: Any) -> PlaceOrder:
    return order(name, side, OrderType.LIMIT, lots, at, **more)


def one(client: GatewayClient, command: Command) -> Answer:
    [answer] = submitted(client, command)
    return answer


def as_it_is(client: GatewayClient, placed: PlaceOrder) -> OrderRecord:
    """The order as a copy of its request is told."""
    copy = one(client, placed)
    assert copy.replayed and copy.order is not None
    return copy.order


def now_us() -> int:
    return time.time_ns() // 1000


def every_type() -> list[PlaceOrder]:
    """One order of each type and time in force that stays open, the last price being 10,000."""
    tomorrow = now_us() + 86_400 * 10**6
    return [
        limit("iceberg", SELL, 50, 10_010, display_lots=10),
        limit("gtd", BUY, 5, 9_000, time_in_force=TimeInForce.GTD, expire_time=tomorrow),
        limit("day", BUY, 5, 9_001, time_in_force=TimeInForce.DAY),
        order("stop", SELL, OrderType.STOP, 5, stop_price_ticks=9_500),
        order("stop-limit", BUY, OrderType.STOP_LIMIT, 5, 10_600, stop_price_ticks=10_500),
        order("take", SELL, OrderType.TAKE_PROFIT, 5, stop_price_ticks=10_700),
        order("take-limit", SELL, OrderType.TAKE_PROFIT_LIMIT, 5, 10_800, stop_price_ticks=10_750),
        order("trailing", SELL, OrderType.TRAILING_STOP, 5, trailing_delta_ticks=600),
    ]


def test_a_market_buy_by_quote_quantity_is_filled_and_the_cell_goes_on(client: GatewayClient) -> None:
    submitted(client, limit("bob-1", SELL, 100, 1_000_000))
    by_quote = order("m", BUY, OrderType.MARKET, 0, time_in_force=TimeInForce.IOC)
    by_quote = replace(by_quote, quantity_lots=None, quote_quantity=30 * 1_000_000 * 10)

    filled = one(client, by_quote)

    assert filled.order is not None
    assert filled.order.status is OrderStatus.FILLED
    assert filled.order.filled_lots == 30
    assert as_it_is(client, by_quote).filled_lots == filled.order.filled_lots
    assert one(client, limit("after", BUY, 1, 9_000)).code is None


def test_orders_of_every_type_are_after_a_restart_what_they_were_before(given: Settings) -> None:
    orders = every_type()
    stop = order("leg-2", SELL, OrderType.STOP, 6, stop_price_ticks=9_400)
    pair = PlacePair(limit("leg-1", SELL, 6, 10_900), stop)
    with serving(given) as first:
        seeded(first)
        submitted(first, limit("bob-1", SELL, 1, 10_000), limit("price", BUY, 1, 10_000))
        submitted(first, *orders, pair, limit("bob-2", BUY, 4, 10_010))
        amended = one(first, AmendOrder("x-1", "acc_alice", orders[1].order_id, 3 * 10**13, None))
        before = [as_it_is(first, placed) for placed in orders]
        legs = one(first, pair)

    with serving(given) as second:
        after = [as_it_is(second, placed) for placed in orders]
        copy = one(second, pair)
        [canceled] = submitted(second, CancelOrder("x-2", "acc_alice", stop.order_id))

    assert amended.order is not None and amended.order.placed.quantity_lots == 3
    assert after == before
    assert [found.status for found in before].count(OrderStatus.PENDING_TRIGGER) == 5
    assert (before[0].displayed_lots, before[0].remaining_lots, before[1].placed.quantity_lots) == (6, 46, 3)
    assert copy.replayed and (copy.order, copy.partner) == (legs.order, legs.partner)
    assert canceled.order is not None and canceled.order.reason == "user"
    assert check_all(given.database_url) + check_replay(given.database_url) == []


def test_an_amend_and_its_copy_are_answered_alike_and_the_order_is_still_known_by_its_first_request(
    client: GatewayClient,
) -> None:
    placed = limit("a", SELL, 50, 10_000)
    amend = AmendOrder("x-1", "acc_alice", placed.order_id, 40 * 10**13, 10_001 * 10**16)
    one(client, placed)

    first, copy = one(client, amend), one(client, amend)

    assert first.order is not None and (first.order.placed.quantity_lots, first.order.placed.price_ticks) == (
        40,
        10_001,
    )
    assert copy.replayed and (copy.order, copy.events) == (first.order, first.events)
    assert as_it_is(client, placed) == first.order
    assert one(client, limit("a", SELL, 40, 10_001)).code == "order.duplicate_mismatch"


def test_a_leg_of_a_pair_is_no_order_of_its_own_and_both_ids_are_used_up(client: GatewayClient) -> None:
    one(client, limit("bob-1", SELL, 1, 10_000))
    one(client, limit("price", BUY, 1, 10_000))
    leg, other = limit("leg-1", SELL, 6, 10_900), order("leg-2", SELL, OrderType.STOP, 6, stop_price_ticks=9_400)
    entered = one(client, PlacePair(leg, other))

    assert entered.code is None and entered.order is not None and entered.partner is not None
    assert one(client, leg).code == "order.duplicate_mismatch"
    assert one(client, PlacePair(limit("leg-3", SELL, 6, 10_900), other)).code == "order.duplicate_mismatch"


def test_copies_of_what_is_about_accounts_and_the_exchange_get_the_first_answer_also_after_a_restart(
    given: Settings,
) -> None:
    commands: list[Command] = [
        CancelAllAfter("x-1", "acc_alice", 60_000),
        ChangeAccount("x-2", "acc_bob", "cancel_only"),
        KillSwitch("x-3", "acc_alice"),
        HaltExchange("x-4"),
        ResumeExchange("x-5"),
        ChangeMarket("x-6", "BTC-USD", price_band=10**8, fee_tiers=(FeeTier(10**12, -100_000, 500_000),)),
    ]
    with serving(given) as first:
        seeded(first)
        one(first, limit("a", SELL, 5, 10_000))
        answers = submitted(first, *commands)
        copies = submitted(first, *commands)

    with serving(given) as second:
        later = submitted(second, *commands)
        refused = one(second, limit("b", SELL, 5, 10_000))

    assert [answer.code for answer in answers] == [None] * 6
    assert [[type(event).__name__ for event in answer.events] for answer in answers] == [
        ["DeadManSet"],
        ["AccountChanged"],
        ["AccountChanged", "OrderCanceled"],
        ["ExchangeHalted", *["MarketChanged"] * 3],
        ["ExchangeResumed", *["MarketChanged"] * 3],
        ["MarketChanged"],
    ]
    for told in (copies, later):
        assert all(answer.replayed for answer in told)
        assert [(answer.events, answer.sequence, answer.time) for answer in told] == [
            (answer.events, answer.sequence, answer.time) for answer in answers
        ]
    assert refused.code == "account.suspended"
    assert check_replay(given.database_url) == []


def test_an_order_good_till_a_time_expires_by_itself(client: GatewayClient) -> None:
    expire_time = now_us() + 700_000
    placed = limit("a", SELL, 5, 10_000, time_in_force=TimeInForce.GTD, expire_time=expire_time)
    one(client, placed)

    expired = until(lambda: _if(as_it_is(client, placed), OrderStatus.EXPIRED), 10)

    assert expired is not None and expired.reason == "expired"
    assert expired.updated_time >= expire_time


def test_a_dead_man_s_switch_fires_after_a_restart(given: Settings) -> None:
    placed, kept = limit("a", SELL, 5, 10_000), limit("bob-1", SELL, 5, 10_000)
    with serving(given) as first:
        seeded(first)
        submitted(first, placed, kept, CancelAllAfter("x-1", "acc_alice", 1_000))
    with serving(given) as second:
        canceled = until(lambda: _if(as_it_is(second, placed), OrderStatus.CANCELED), 10)
        spared = as_it_is(second, kept)

    assert canceled is not None and canceled.reason == "dead_man"
    assert spared.status is OrderStatus.NEW
    assert check_all(given.database_url) + check_replay(given.database_url) == []


def test_timers_fire_under_the_standby_that_took_over(given: Settings) -> None:
    placed = limit("a", SELL, 5, 10_000)
    orders = every_type()
    with ExitStack() as leading, ExitStack() as standing_by:
        first = leading.enter_context(serving(given))
        seeded(first)
        submitted(first, limit("bob-1", SELL, 1, 10_000), limit("price", BUY, 1, 10_000), *orders)
        second = standing_by.enter_context(serving(given))
        submitted(first, placed, CancelAllAfter("x-1", "acc_alice", 2_000))

        leading.close()
        canceled = until(lambda: _if(as_it_is(second, placed), OrderStatus.CANCELED), 15)
        others = [as_it_is(second, order) for order in orders]

    assert canceled is not None and canceled.reason == "dead_man"
    assert {order.reason for order in others} == {"dead_man"}
    assert check_all(given.database_url) + check_replay(given.database_url) == []


def test_the_book_shows_what_icebergs_display_and_nothing_that_waits_also_after_a_restart(given: Settings) -> None:
    with serving(given) as first:
        seeded(first)
        submitted(first, limit("bob-1", SELL, 1, 10_000), limit("price", BUY, 1, 10_000), *every_type())
        live = body(given, "book:50", '"10')
    with redis.Redis.from_url(given.redis_url) as connection:
        connection.flushall()
    with serving(given):
        restored = body(given, "book:50", '"10')

    assert live["asks"] == [["100.10", "0.00010", 1]]
    assert live["bids"] == [["90.01", "0.00005", 1], ["90.00", "0.00005", 1]]
    assert [restored[name] for name in ("asks", "bids", "checksum")] == [
        live[name] for name in ("asks", "bids", "checksum")
    ]


def test_the_ticker_of_a_market_in_auction_says_what_it_would_do_also_after_a_restart(given: Settings) -> None:
    with serving(given) as first:
        seeded(first)
        one(first, ChangeMarket("x-1", "BTC-USD", MarketStatus.AUCTION))
        submitted(first, limit("bob-1", SELL, 7, 9_990), limit("a", BUY, 5, 10_000))
        live = body(given, "ticker", '"indicative_price":"99.90"')
    with redis.Redis.from_url(given.redis_url) as connection:
        connection.flushall()
    with serving(given) as second:
        restored = body(given, "ticker", '"indicative_price":"99.90"')
        opened = one(second, ChangeMarket("x-2", "BTC-USD", MarketStatus.OPEN))
        ended = body(given, "ticker", '"last_price":"99.90"')

    assert (live["indicative_price"], live["indicative_quantity"]) == ("99.90", "0.00005")
    assert (restored["indicative_price"], restored["indicative_quantity"]) == ("99.90", "0.00005")
    assert [type(event).__name__ for event in opened.events] == ["BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert "indicative_price" not in ended
    assert check_all(given.database_url) + check_replay(given.database_url) == []


def test_an_opening_that_cancels_500_orders_tells_the_market_and_so_does_its_copy(client: GatewayClient) -> None:
    opening = ChangeMarket("x-2", "BTC-USD", MarketStatus.OPEN)
    one(client, ChangeMarket("x-1", "BTC-USD", MarketStatus.AUCTION))
    stops = [order(f"s-{at}", SELL, OrderType.STOP, 1, stop_price_ticks=9_000) for at in range(500)]
    submitted(client, *(PlacePair(limit(f"p-{at}", SELL, 1, 10_000), stop) for at, stop in enumerate(stops)))
    one(client, limit("bob-1", BUY, 500, 10_000))

    first, copy = one(client, opening), one(client, opening)

    assert first.canceled == 500
    assert [event.market.status for event in first.events if isinstance(event, MarketChanged)] == [MarketStatus.OPEN]
    assert copy.replayed and (copy.canceled, copy.events) == (500, first.events)


def _if(found: OrderRecord, status: OrderStatus) -> OrderRecord | None:
    return found if found.status is status else None


def body(given: Settings, name: str, expected: str) -> dict[str, Any]:
    """What Redis holds of BTC-USD, once it holds `expected`."""
    with redis.Redis.from_url(given.redis_url) as connection:

        def ask() -> bytes | None:
            found: bytes | None = connection.get(f"{{BTC-USD}}:{name}")
            return found if found is not None and expected in found.decode() else None

        found = until(ask, 10)
    assert found is not None, f"{name} never held {expected}"
    document: dict[str, Any] = json.loads(found)
    return document
