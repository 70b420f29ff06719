"""Orders that wait for a price: when they may be entered, when and in which order they become active, what they do."""

import pytest

from exchange.commands import CancelOrder, ChangeMarket
from exchange.events import Event, OrderTriggered, Trade
from exchange.markets import MarketStatus
from exchange.orders import OrderRecord, OrderStatus, OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, Desk, accepted, buy, canceled, kinds, rejected, sell, stop, trailing

BUY, SELL = Side.BUY, Side.SELL
TAKE_PROFIT, TAKE_PROFIT_LIMIT = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT
FOK = TimeInForce.FOK


def desk_at(price: int, funds: int = 10_000) -> Desk:
    """A market whose last trade was at a price, with an empty book."""
    desk = Desk(funds=funds)
    trade_at(desk, price, "first")
    return desk


def trade_at(desk: Desk, price: int, name: str) -> list[Event]:
    """Let one lot trade at a price; return what the taker did."""
    desk.do(sell(f"1-{name}-maker", "carol", 1, price))
    return desk.do(buy(f"1-{name}", "alice", 1, price))


def triggered(order_id: str, account: str, side: Side, price: int | None, resting: int, *balance: int) -> Event:
    return OrderTriggered(order_id, account, SYMBOL, side, price, resting, *balance)


def record_of(desk: Desk, order_id: str) -> OrderRecord:
    record = desk.engine.record(order_id)
    assert record is not None
    return record


# ── Entering ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_waiting_sell_holds_its_quantity_and_shows_nothing() -> None:
    desk = desk_at(100)

    events = desk.do(stop("1-s", "bob", SELL, 3, 95))

    assert events == [accepted("1-s", "bob", SELL, None, resting=0, available=9_997, held=3)]
    record = record_of(desk, "1-s")
    assert (record.status, record.trigger_ticks) == (OrderStatus.PENDING_TRIGGER, 95)


def test_a_waiting_buy_holds_at_its_limit_price_and_nothing_without_one() -> None:
    desk = desk_at(100)

    limited = desk.do(stop("1-s", "bob", BUY, 3, 105, 110))
    unlimited = desk.do(stop("1-t", "bob", BUY, 3, 105))

    assert limited == [accepted("1-s", "bob", BUY, 110, resting=0, available=9_670, held=330)]
    assert unlimited == [accepted("1-t", "bob", BUY, None, resting=0, available=9_670, held=330)]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (stop("1-s", "bob", SELL, 1, 100), "order.would_trigger"),
        (stop("1-s", "bob", SELL, 1, 99), None),
        (stop("1-s", "bob", BUY, 1, 100), "order.would_trigger"),
        (stop("1-s", "bob", BUY, 1, 101), None),
        (stop("1-s", "bob", SELL, 1, 100, kind=TAKE_PROFIT), "order.would_trigger"),
        (stop("1-s", "bob", SELL, 1, 101, kind=TAKE_PROFIT), None),
        (stop("1-s", "bob", BUY, 1, 100, kind=TAKE_PROFIT), "order.would_trigger"),
        (stop("1-s", "bob", BUY, 1, 99, kind=TAKE_PROFIT), None),
    ],
)
def test_an_order_that_would_trigger_at_once_is_refused(order: PlaceOrder, code: str | None) -> None:
    desk = desk_at(100)

    assert desk.engine.check(order) == code
    assert desk.do(order)[0] == (
        accepted("1-s", "bob", order.side, None, 0, 10_000 - (order.side is SELL), int(order.side is SELL))
        if code is None
        else rejected("1-s", "bob", code)
    )


def test_before_the_first_trade_any_stop_price_is_taken_and_waits() -> None:
    desk = Desk()
    desk.do(stop("1-s", "bob", SELL, 1, 95))

    events = trade_at(desk, 90, "first")

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled"]


# ── Triggering ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_sells_at_the_market_once_the_last_price_is_at_its_stop_price() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 3, 95))
    desk.do(buy("1-bid", "carol", 2, 94))
    trade_at(desk, 96, "above")

    events = trade_at(desk, 95, "at")

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "Trade", "OrderCanceled"]
    assert events[2] == triggered("1-s", "bob", SELL, None, 0, 9_998, 0)
    assert isinstance(events[3], Trade)
    assert (events[3].maker_order_id, events[3].taker_order_id, events[3].price_ticks) == ("1-bid", "1-s", 94)
    assert events[4] == canceled("1-s", "bob", SELL, None, 1, 0, "insufficient_liquidity", (9_998, 0))


def test_a_stop_limit_rests_at_its_limit_price_once_it_triggers() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 3, 95, 97))

    events = trade_at(desk, 95, "at")

    assert events[2:] == [triggered("1-s", "bob", SELL, 97, 3, 9_997, 3)]
    record = record_of(desk, "1-s")
    assert (record.status, record.trigger_ticks) == (OrderStatus.NEW, None)


def test_a_take_profit_waits_for_the_better_price() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 1, 105, kind=TAKE_PROFIT))
    desk.do(stop("1-b", "bob", BUY, 1, 95, 96, kind=TAKE_PROFIT_LIMIT))

    above = trade_at(desk, 105, "above")
    below = trade_at(desk, 95, "below")

    assert [event.order_id for event in (*above, *below) if isinstance(event, OrderTriggered)] == ["1-s", "1-b"]


def test_a_triggered_iceberg_shows_a_slice() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 9, 95, 97, display_lots=2))

    events = trade_at(desk, 95, "at")

    assert events[2:] == [triggered("1-s", "bob", SELL, 97, 2, 9_991, 9)]


def test_a_triggered_fok_order_fills_whole_or_not_at_all() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 3, 95, 90, tif=FOK))
    desk.do(buy("1-bid", "carol", 2, 94))

    events = trade_at(desk, 95, "at")

    assert events[3:] == [canceled("1-s", "bob", SELL, 90, 3, 0, "fok_unfilled", (10_000, 0))]


def test_a_triggered_buy_that_cannot_pay_for_its_walk_is_canceled() -> None:
    desk = Desk(funds=1000)
    trade_at(desk, 100, "first")
    desk.do(stop("1-s", "bob", BUY, 10, 105))
    desk.do(sell("1-ask", "carol", 10, 110))

    events = trade_at(desk, 105, "at")

    assert events[2:] == [
        triggered("1-s", "bob", BUY, None, 0, 1000, 0),
        canceled("1-s", "bob", BUY, None, 10, 0, "insufficient_funds", (1000, 0)),
    ]


def test_what_one_trade_triggers_becomes_active_oldest_first_whatever_its_side_and_price() -> None:
    desk = desk_at(100)
    desk.do(stop("1-oldest", "bob", SELL, 1, 97, 200))
    desk.do(stop("1-middle", "bob", BUY, 1, 95, 10, kind=TAKE_PROFIT_LIMIT))
    desk.do(stop("1-newest", "bob", SELL, 1, 96, 200))

    events = trade_at(desk, 95, "at")

    ids = [event.order_id for event in events if isinstance(event, OrderTriggered)]
    assert ids == ["1-oldest", "1-middle", "1-newest"]


def test_the_trades_of_one_triggered_order_trigger_others_in_the_same_command() -> None:
    desk = desk_at(100)
    for price in (94, 92, 90):
        desk.do(buy(f"1-bid-{price}", "carol", 1, price))
    desk.do(stop("1-low", "bob", SELL, 1, 92))
    desk.do(stop("1-high", "bob", SELL, 1, 94))
    desk.do(stop("1-start", "bob", SELL, 1, 95))

    events = trade_at(desk, 95, "at")

    assert [
        (event.taker_order_id, event.price_ticks) if isinstance(event, Trade) else event.order_id
        for event in events[2:]
        if isinstance(event, Trade | OrderTriggered)
    ] == ["1-start", ("1-start", 94), "1-high", ("1-high", 92), "1-low", ("1-low", 90)]


def test_an_order_once_reached_becomes_active_even_when_the_price_has_left_it_by_then() -> None:
    desk = desk_at(100)
    desk.do(stop("1-up", "bob", BUY, 1, 95, 200, kind=TAKE_PROFIT_LIMIT))
    desk.do(stop("1-down", "bob", SELL, 1, 95))
    desk.do(sell("1-ask", "carol", 1, 110))

    events = trade_at(desk, 95, "at")

    assert kinds(events)[2:] == ["OrderTriggered", "Trade", "OrderTriggered", "OrderCanceled"]


def test_only_the_last_price_of_a_command_counts() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", BUY, 1, 105))
    desk.do(buy("1-high", "carol", 1, 106))
    desk.do(buy("1-low", "carol", 1, 101))

    events = desk.do(sell("1-x", "alice", 2, 101))

    assert kinds(events) == ["OrderAccepted", "Trade", "Trade"]


def test_a_command_triggers_at_most_1000_orders_and_the_next_one_goes_on() -> None:
    desk = Desk("alice carol " + " ".join(f"bob{number}" for number in range(2)))
    trade_at(desk, 100, "first")
    for number in range(1001):
        desk.do(stop(f"1-s{number}", f"bob{number % 2}", SELL, 1, 95, 200))

    first = trade_at(desk, 95, "at")

    assert kinds(first).count("OrderTriggered") == 1000
    record = record_of(desk, "1-s1000")
    assert (record.status, record.trigger_ticks) == (OrderStatus.PENDING_TRIGGER, None)
    assert desk.engine.next_timer() == desk.engine.time
    again = Engine.restore(desk.engine.snapshot())
    assert again.next_timer() == again.time
    for engine in (desk.engine, again):
        assert kinds(engine.apply(CancelOrder("r", "alice", "1-none"), engine.time)) == [
            "CommandRefused",
            "OrderTriggered",
        ]
        assert engine.next_timer() is None
    assert dict(again.state_records()) == dict(desk.engine.state_records())


def test_a_triggered_order_that_needs_more_trades_than_its_command_has_left_waits_for_the_next() -> None:
    desk = Desk("alice carol dave bob")
    trade_at(desk, 100, "first")
    for number in range(600):
        desk.do(sell(f"1-c{number}", "carol", 1, 101))
        desk.do(sell(f"1-d{number}", "dave", 1, 102))
    desk.do(stop("1-s", "bob", BUY, 500, 101))

    first = desk.do(buy("1-x", "alice", 600, 101))
    second = desk.advance_to(desk.engine.time)

    assert kinds(first).count("Trade") == 600
    assert "OrderTriggered" not in kinds(first)
    assert kinds(second) == ["OrderTriggered", *["Trade"] * 500]


def test_triggers_wait_while_the_market_is_not_open() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 1, 95, 95))
    desk.do(ChangeMarket("r1", SYMBOL, MarketStatus.AUCTION))
    desk.do(sell("1-ask", "carol", 1, 90))
    desk.do(buy("1-bid", "alice", 1, 90))

    events = desk.do(ChangeMarket("r2", SYMBOL, MarketStatus.OPEN))

    assert kinds(events) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged", "OrderTriggered"]


def test_a_waiting_order_is_canceled_like_any_other() -> None:
    desk = desk_at(100)
    desk.do(stop("1-s", "bob", SELL, 3, 95))

    events = desk.do(CancelOrder("r", "bob", "1-s"))

    assert events == [canceled("1-s", "bob", SELL, None, 3, 0, "user", (10_000, 0))]
    assert kinds(trade_at(desk, 95, "at")) == ["OrderAccepted", "Trade"]


# ── Trailing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_trailing_sell_follows_the_price_up_and_never_down() -> None:
    desk = desk_at(100)
    desk.do(trailing("1-s", "bob", SELL, 1, 5))
    triggers = []

    for price in (101, 110, 106):
        trade_at(desk, price, f"at-{price}")
        triggers.append(record_of(desk, "1-s").trigger_ticks)
    events = trade_at(desk, 105, "reached")

    assert triggers == [96, 105, 105]
    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled"]


def test_a_trailing_buy_follows_the_price_down_and_never_up() -> None:
    desk = desk_at(100)
    desk.do(trailing("1-s", "bob", BUY, 1, 5))
    triggers = []

    for price in (99, 90, 94):
        trade_at(desk, price, f"at-{price}")
        triggers.append(record_of(desk, "1-s").trigger_ticks)
    events = trade_at(desk, 95, "reached")

    assert triggers == [104, 95, 95]
    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled"]


def test_a_trailing_order_entered_before_the_first_trade_begins_at_its_price() -> None:
    desk = Desk()
    desk.do(trailing("1-s", "bob", SELL, 1, 5))
    before = record_of(desk, "1-s").trigger_ticks

    trade_at(desk, 100, "first")

    assert (before, record_of(desk, "1-s").trigger_ticks) == (None, 95)


def test_a_trade_that_moves_no_trigger_writes_no_waiting_order() -> None:
    desk = desk_at(100)
    desk.do(trailing("1-s", "bob", SELL, 1, 5))
    desk.do(trailing("1-t", "bob", BUY, 1, 50))
    trade_at(desk, 98, "lower")
    desk.engine.take_changes()

    trade_at(desk, 99, "between")

    changes = desk.engine.take_changes()
    assert sorted(order.placed.order_id for order in changes.orders) == ["1-between", "1-between-maker"]


def test_a_restored_engine_triggers_and_trails_as_the_live_one() -> None:
    desk = desk_at(100)
    desk.do(trailing("1-s", "bob", SELL, 1, 5))
    desk.do(stop("1-t", "bob", SELL, 1, 104, 50))
    trade_at(desk, 108, "high")

    again = Desk()
    again.engine = Engine.restore(desk.engine.snapshot())

    for price in (107, 109, 104):
        assert trade_at(again, price, f"at-{price}") == trade_at(desk, price, f"at-{price}")
        assert dict(again.engine.state_records()) == dict(desk.engine.state_records())
