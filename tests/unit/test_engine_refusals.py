"""What the engine refuses: in which order it looks, what is stored, what leaves no trace."""

import pytest

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket
from exchange.events import CommandRefused, MarketChanged, Trade
from exchange.markets import MarketStatus
from exchange.orders import OrderRecord, OrderStatus, PlaceOrder, Side, TimeInForce
from matching_service.engine import Copy, Refusal
from tests.engines import SYMBOL, TIME, Desk, accepted, at_market, buy, canceled, kinds, market, rejected, sell

BUY = Side.BUY
IOC = TimeInForce.IOC


# ── Refusals, in the order in which they are checked ──────────────────────────────────────────────────────────────────


def test_checks_come_in_the_order_state_notional_quantity_crossing_funds() -> None:
    desk = Desk("alice bob", funds=100, min_notional=1000, max_quantity=5)
    breaks_all = buy("1-b", "bob", 6, 1, post_only=True)

    desk.do(ChangeMarket("r1", SYMBOL, MarketStatus.CANCEL_ONLY))
    assert desk.engine.check(breaks_all) == "order.market_closed"
    desk.do(ChangeMarket("r2", SYMBOL, MarketStatus.OPEN))
    assert desk.engine.check(breaks_all) == "order.min_notional"
    assert desk.engine.check(buy("1-b", "bob", 6, 200, post_only=True)) == "order.max_quantity"
    desk.do(sell("1-a", "alice", 5, 200))
    assert desk.engine.check(buy("1-b", "bob", 5, 200, post_only=True)) == "order.would_cross"
    assert desk.engine.check(buy("1-b", "bob", 5, 200)) == "order.insufficient_funds"
    assert desk.engine.check(sell("1-b", "bob", 5, 200)) is None


def test_a_refused_order_uses_up_its_id_and_is_stored_with_the_code_as_its_reason() -> None:
    desk = Desk("alice", funds=100)

    events = desk.do(buy("1-a", "alice", 2, 100))

    assert events == [rejected("1-a", "alice", "order.insufficient_funds")]
    placed = buy("1-a", "alice", 2, 100)
    sequence = desk.engine.sequence
    assert desk.refused(placed) == Copy(sequence)
    (order,) = desk.engine.take_changes().orders
    assert order.record() == OrderRecord(
        placed, OrderStatus.REJECTED, 0, 2, 0, 0, 0, "order.insufficient_funds", sequence, sequence, TIME, TIME
    )


def test_min_notional_is_checked_on_a_quote_quantity_but_not_on_a_market_order_by_quantity() -> None:
    desk = Desk(funds=10_000, min_notional=500)
    desk.do(sell("1-a", "alice", 9, 100))

    assert desk.engine.check(at_market("1-b", "bob", BUY, quote=499)) == "order.min_notional"
    assert desk.engine.check(at_market("1-b", "bob", BUY, quote=500)) is None
    assert desk.engine.check(at_market("1-b", "bob", BUY, 1)) is None


def test_an_order_of_exactly_the_minimum_and_the_maximum_is_taken() -> None:
    desk = Desk("alice", min_notional=500, max_quantity=5)

    assert desk.engine.check(buy("1-a", "alice", 5, 100)) is None
    assert desk.engine.check(buy("1-a", "alice", 6, 100)) == "order.max_quantity"
    assert desk.engine.check(buy("1-a", "alice", 5, 99)) == "order.min_notional"


def test_the_1001st_open_order_of_an_account_is_refused_but_one_that_never_rests_is_not() -> None:
    desk = Desk("alice bob")
    for number in range(1000):
        desk.do(buy(f"1-{number}", "alice", 1, 100))

    assert desk.do(buy("1-x", "alice", 1, 100)) == [rejected("1-x", "alice", "order.too_many_open")]
    assert desk.engine.check(buy("1-y", "alice", 1, 100, IOC)) is None
    assert desk.engine.check(at_market("1-y", "alice", BUY, 1)) is None
    assert desk.engine.check(buy("1-y", "bob", 1, 100)) is None
    desk.do(CancelOrder("r", "alice", "1-0"))
    assert desk.engine.check(buy("1-y", "alice", 1, 100)) is None


def test_post_only_is_refused_when_it_would_cross_even_its_own_order_and_rests_otherwise() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 1, 100))

    crossing = desk.do(buy("1-b", "bob", 1, 100, post_only=True))
    resting = desk.do(buy("1-c", "bob", 1, 99, post_only=True))

    assert crossing == [rejected("1-b", "bob", "order.would_cross")]
    assert resting == [accepted("1-c", "bob", BUY, 99, resting=1, available=901, held=99)]
    assert desk.engine.check(buy("1-d", "alice", 1, 100, post_only=True)) == "order.would_cross"


def test_a_check_changes_nothing() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 1, 100))
    desk.engine.take_changes()
    before = dict(desk.engine.state_records())

    desk.engine.check(buy("1-b", "bob", 1, 100))

    assert dict(desk.engine.state_records()) == before
    assert desk.engine.take_changes().orders == []


# ── Without trace ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("placed", "field"),
    [
        (buy("1-a", "alice", 10**9, 10**9), "quantity"),
        (sell("1-a", "alice", 10**9, 10**9), "quantity"),
        (at_market("1-a", "alice", BUY, quote=10**18), "quote_quantity"),
    ],
)
def test_an_order_worth_10_to_the_18_units_leaves_no_trace(placed: PlaceOrder, field: str) -> None:
    desk = Desk("alice")

    refusal = desk.refused(placed)

    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("request.invalid", field)


def test_an_order_worth_one_unit_less_is_journaled() -> None:
    desk = Desk("alice")

    assert desk.refused(at_market("1-a", "alice", BUY, quote=10**18 - 1)) is None


def test_an_order_of_an_unknown_market_or_account_leaves_no_trace() -> None:
    desk = Desk("alice")
    elsewhere = PlaceOrder("1-a", "alice", "a", "DOGE-USD", BUY, buy("1-a", "alice", 1, 1).type, 1, 1, TimeInForce.GTC)

    assert desk.refused(elsewhere) == Refusal("request.invalid", "There is no such market.", "symbol")
    assert desk.refused(buy("1-a", "nobody", 1, 1)) == Refusal("resource.not_found", "There is no such object.")


# ── Market states ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_only_market_refuses_orders_and_lets_cancel() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 90))

    changed = desk.do(ChangeMarket("r1", SYMBOL, MarketStatus.CANCEL_ONLY))

    settings = market(status=MarketStatus.CANCEL_ONLY)
    assert changed == [MarketChanged(settings)]
    assert desk.engine.market(SYMBOL) == settings
    assert desk.do(buy("1-b", "bob", 1, 90)) == [rejected("1-b", "bob", "order.market_closed")]
    assert desk.do(CancelOrder("r2", "alice", "1-a")) == [canceled("1-a", "alice", BUY, 90, 1, 1, "user", (1000, 0))]


def test_a_halted_market_keeps_its_orders_until_it_opens_again() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 90))
    desk.do(ChangeMarket("r1", SYMBOL, MarketStatus.HALTED))

    assert desk.do(buy("1-b", "bob", 1, 90)) == [rejected("1-b", "bob", "order.market_closed")]
    assert desk.do(CancelOrder("r2", "alice", "1-a")) == [
        CommandRefused("order.market_closed", "The market takes no orders now.", None)
    ]
    assert desk.do(CancelOrders("r3", "alice", None, None)) == []
    assert desk.open_orders() == ["1-a"]
    desk.do(ChangeMarket("r4", SYMBOL, MarketStatus.OPEN))
    assert kinds(desk.do(CancelOrder("r5", "alice", "1-a"))) == ["OrderCanceled"]


def test_a_new_fee_rate_holds_for_orders_that_rest_already() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 1, 100))
    desk.do(ChangeMarket("r", SYMBOL, maker_fee_rate=10_000_000))

    trade = desk.do(buy("1-b", "bob", 1, 100))[1]

    assert isinstance(trade, Trade)
    assert (trade.maker_fee, trade.taker_fee) == (1, 0)
