"""Pairs: two orders of which one cancels the other, entered both or none, and held for once."""

import pytest

from exchange.commands import AmendOrder, CancelOrder, CancelOrders, PlacePair
from exchange.events import CommandRefused, OrderCanceled
from exchange.orders import OrderStatus, OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce
from matching_service.engine import Copy, Engine
from tests.engines import TIME, Desk, accepted, buy, canceled, kinds, rejected, sell, stop, trailing

BUY, SELL = Side.BUY, Side.SELL
TAKE_PROFIT = OrderType.TAKE_PROFIT


def desk_with_a_pair(first: PlaceOrder, second: PlaceOrder) -> Desk:
    desk = Desk(funds=1000)
    desk.do(sell("1-x", "carol", 1, 100))
    desk.do(buy("1-y", "alice", 1, 100))
    desk.do(PlacePair(first, second))
    return desk


def selling_pair() -> Desk:
    """Bob sells three lots at 110, or at the market at 90."""
    return desk_with_a_pair(sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 3, 90))


def test_a_pair_is_entered_with_one_command_and_holds_the_larger_leg_once() -> None:
    desk = Desk("bob", funds=1000)

    events = desk.do(PlacePair(sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 4, 90)))

    assert events == [
        accepted("1-p", "bob", SELL, 110, resting=3, available=996, held=4),
        accepted("1-s", "bob", SELL, None, resting=0, available=996, held=4),
    ]
    assert [(record.placed.order_id, record.partner_id) for record in desk.engine.subjects()] == [
        ("1-p", "1-s"),
        ("1-s", "1-p"),
    ]


def test_a_buying_pair_holds_at_the_higher_of_its_limit_prices() -> None:
    desk = Desk("bob", funds=1000)

    desk.do(PlacePair(buy("1-p", "bob", 3, 90), stop("1-s", "bob", BUY, 3, 105, 110)))

    assert desk.balance("bob", "USD") == (670, 330)


def test_the_first_fill_of_one_leg_cancels_the_other() -> None:
    desk = selling_pair()

    events = desk.do(buy("1-b", "alice", 1, 110))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderCanceled"]
    assert events[2] == canceled("1-s", "bob", SELL, None, 3, 0, "oco", (997, 2))
    assert desk.open_orders() == ["1-p"]


def test_the_larger_leg_gives_back_what_it_held_beyond_the_one_that_fills() -> None:
    desk = desk_with_a_pair(sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 5, 90))

    events = desk.do(buy("1-b", "alice", 3, 110))

    assert events[2] == canceled("1-s", "bob", SELL, None, 5, 0, "oco", (997, 0))


def test_the_leg_that_triggers_cancels_the_other() -> None:
    desk = selling_pair()
    desk.do(buy("1-bid", "alice", 3, 90))

    events = desk.do(sell("1-t", "carol", 1, 90))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled", "Trade", "OrderCanceled"]
    assert events[3] == canceled("1-p", "bob", SELL, 110, 3, 3, "oco", (997, 3))
    assert events[5] == canceled("1-s", "bob", SELL, None, 1, 0, "insufficient_liquidity", (998, 0))


def test_a_stop_that_buys_at_the_market_may_spend_what_the_other_leg_held() -> None:
    desk = desk_with_a_pair(buy("1-p", "bob", 10, 95), stop("1-s", "bob", BUY, 8, 105))
    desk.do(sell("1-ask", "carol", 1, 105))
    desk.do(sell("1-more", "carol", 8, 120))

    events = desk.do(buy("1-t", "alice", 1, 105))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled", "Trade"]
    assert desk.balance("bob", "USD") == (40, 0)


def test_a_limit_leg_that_trades_on_arrival_cancels_the_other() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-bid", "alice", 1, 110))

    events = desk.do(PlacePair(stop("1-s", "bob", SELL, 3, 90), sell("1-p", "bob", 3, 105)))

    assert kinds(events) == ["OrderAccepted", "OrderAccepted", "Trade", "OrderCanceled"]
    assert events[:2] == [
        accepted("1-s", "bob", SELL, None, resting=0, available=997, held=2),
        accepted("1-p", "bob", SELL, 105, resting=2, available=997, held=2),
    ]
    assert events[3] == canceled("1-s", "bob", SELL, None, 3, 0, "oco", (997, 2))


def test_a_take_profit_and_a_trailing_stop_make_a_pair() -> None:
    desk = desk_with_a_pair(stop("1-p", "bob", SELL, 3, 110, kind=TAKE_PROFIT), trailing("1-s", "bob", SELL, 3, 5))
    desk.do(sell("1-m", "carol", 1, 110))

    events = desk.do(buy("1-b", "alice", 1, 110))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled", "OrderCanceled"]


@pytest.mark.parametrize(("named", "other"), [("1-p", "1-s"), ("1-s", "1-p")])
def test_a_cancel_of_one_leg_cancels_both(named: str, other: str) -> None:
    desk = selling_pair()

    events = desk.do(CancelOrder("r", "bob", named))

    assert [(event.order_id, event.reason) for event in events if isinstance(event, OrderCanceled)] == [
        (named, "user"),
        (other, "oco"),
    ]
    assert desk.balance("bob", "BTC") == (1000, 0)
    assert desk.engine.subject().placed.order_id == named


def test_a_cancel_of_many_cancels_each_leg_once() -> None:
    desk = selling_pair()

    events = desk.do(CancelOrders("r", "bob", None, None))

    assert kinds(events) == ["OrderCanceled", "OrderCanceled"]


def test_a_leg_that_expires_cancels_the_other() -> None:
    desk = desk_with_a_pair(
        sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 3, 90, tif=TimeInForce.GTD, expire_time=TIME + 10)
    )

    events = desk.advance_to(TIME + 10)

    assert [(event.order_id, event.reason) for event in events if isinstance(event, OrderCanceled)] == [
        ("1-s", "expired"),
        ("1-p", "oco"),
    ]


def test_a_leg_that_is_decremented_to_nothing_ends_the_pair_and_releases_all() -> None:
    desk = selling_pair()

    events = desk.do(buy("1-b", "bob", 3, 110, self_trade_prevention=SelfTradePrevention.DECREMENT))

    assert kinds(events) == ["OrderAccepted", "SelfTradePrevented", "OrderCanceled", "OrderCanceled", "OrderCanceled"]
    assert desk.balance("bob", "BTC") == (1000, 0)


def test_a_leg_that_loses_lots_to_decrement_goes_on_alone_and_holds_what_it_needs() -> None:
    desk = desk_with_a_pair(buy("1-p", "bob", 3, 90), stop("1-s", "bob", BUY, 3, 105, 110))

    desk.do(sell("1-own", "bob", 1, 90, self_trade_prevention=SelfTradePrevention.DECREMENT))

    assert desk.open_orders() == ["1-p"]
    assert desk.balance("bob", "USD") == (820, 180)


def test_a_leg_cannot_be_amended_while_both_are_open() -> None:
    desk = selling_pair()

    events = desk.do(AmendOrder("r", "bob", "1-p", 2 * 10**16, None))

    assert events == [CommandRefused("order.combination", "A leg of a pair cannot be amended.", "order_id")]
    desk.do(buy("1-b", "alice", 1, 110))
    assert kinds(desk.do(AmendOrder("r2", "bob", "1-p", 2 * 10**16, None))) == ["OrderAmended"]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (sell("1-p", "bob", 2000, 110), stop("1-s", "bob", SELL, 3, 90), "order.insufficient_funds"),
        (sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 3, 100), "order.would_trigger"),
        (sell("1-p", "bob", 3, 100, post_only=True), stop("1-s", "bob", SELL, 3, 90), "order.would_cross"),
    ],
)
def test_a_pair_of_which_one_breaks_a_rule_is_refused_whole(first: PlaceOrder, second: PlaceOrder, code: str) -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-x", "carol", 1, 100))
    desk.do(buy("1-y", "alice", 2, 100))

    events = desk.do(PlacePair(first, second))

    assert events == [rejected("1-p", "bob", code), rejected("1-s", "bob", code)]
    assert [record.status for record in desk.engine.subjects()] == [OrderStatus.REJECTED, OrderStatus.REJECTED]
    assert desk.balance("bob", "BTC") == (1000, 0)


def test_a_copy_of_a_pair_is_known_by_either_of_its_orders() -> None:
    desk = selling_pair()
    sequence = desk.engine.sequence

    assert desk.refused(PlacePair(sell("1-p", "bob", 3, 110), stop("1-z", "bob", SELL, 3, 90))) == Copy(sequence)
    assert desk.refused(stop("1-s", "bob", SELL, 3, 90)) == Copy(sequence)


def test_two_orders_of_a_pair_count_as_two_open_orders() -> None:
    desk = Desk("bob")
    for number in range(999):
        desk.do(sell(f"1-{number}", "bob", 1, 100))

    events = desk.do(PlacePair(sell("1-p", "bob", 1, 110), stop("1-s", "bob", SELL, 1, 90)))

    code = "order.too_many_open"
    assert events == [rejected("1-p", "bob", code), rejected("1-s", "bob", code)]


def test_a_poisoned_pair_uses_up_both_ids() -> None:
    desk = Desk("bob", funds=1000)
    pair = PlacePair(sell("1-p", "bob", 3, 110), stop("1-s", "bob", SELL, 3, 90))

    events = desk.engine.apply_poisoned(pair, TIME)

    assert events == [rejected("1-p", "bob", "engine.refused"), rejected("1-s", "bob", "engine.refused")]
    assert desk.refused(pair) == Copy(desk.engine.sequence)


def test_a_restored_pair_still_holds_once_and_cancels_its_other_leg() -> None:
    desk = selling_pair()

    again = Desk()
    again.engine = Engine.restore(desk.engine.snapshot())

    assert dict(again.engine.state_records()) == dict(desk.engine.state_records())
    assert again.do(buy("1-b", "alice", 1, 110)) == desk.do(buy("1-b", "alice", 1, 110))
