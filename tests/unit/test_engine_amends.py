"""Amends: what keeps its priority, what goes to the back and may trade, and what is refused without a change."""

import pytest

from exchange.commands import AmendOrder, ChangeAccount
from exchange.events import CommandRefused, Event, OrderAmended, Trade
from exchange.markets import MarketStatus
from exchange.orders import OrderStatus, Side, TimeInForce
from matching_service.engine import Copy, Engine, Refusal
from tests.engines import SYMBOL, TIME, Desk, buy, canceled, kinds, sell, stop

BUY, SELL = Side.BUY, Side.SELL
STEP = 10**16


def amend(order_id: str, lots: int | None, price: int | None, account: str = "alice", request: str = "r") -> AmendOrder:
    """An amend in lots and ticks."""
    quantity, wanted = None if lots is None else lots * STEP, None if price is None else price * STEP
    return AmendOrder(request, account, order_id, quantity, wanted)


def amended(
    order_id: str, side: Side, old: tuple[int, int], new: tuple[int, int], quantity: int, left: int, kept: bool,
    *balance: int,
) -> Event:  # fmt: skip
    """Of alice; `old` and `new` are price and lots shown."""
    return OrderAmended(order_id, "alice", SYMBOL, side, *old, *new, quantity, left, kept, *balance)


def first_maker(desk: Desk) -> str:
    """Whom the next taker meets first."""
    trade = desk.do(buy("1-taker", "bob", 1, 200))[1]
    assert isinstance(trade, Trade)
    return trade.maker_order_id


# ── What keeps its priority ───────────────────────────────────────────────────────────────────────────────────────────


def test_less_quantity_at_the_same_price_keeps_its_priority_and_releases_its_hold() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-c", "carol", 5, 100))

    events = desk.do(amend("1-a", 2, None))

    assert events == [amended("1-a", SELL, (100, 5), (100, 2), 2, 2, True, 998, 2)]
    assert first_maker(desk) == "1-a"


def test_equal_values_change_nothing() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.engine.take_changes()
    before = desk.engine.record("1-a")

    events = desk.do(amend("1-a", 5, 100))

    assert events == [amended("1-a", SELL, (100, 5), (100, 5), 5, 5, True, 995, 5)]
    assert desk.engine.take_changes().orders == []
    assert desk.engine.record("1-a") == before == desk.engine.subject()


def test_the_quantity_is_the_new_total_with_what_is_filled() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(buy("1-b", "bob", 2, 100))

    events = desk.do(amend("1-a", 3, None))

    assert events == [amended("1-a", SELL, (100, 3), (100, 1), 3, 1, True, 997, 1)]


def test_an_iceberg_given_less_hides_less_before_it_shows_less() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 9, 100, display_lots=3))

    hidden = desk.do(amend("1-a", 4, None))
    shown = desk.do(amend("1-a", 2, None, request="r2"))

    assert hidden == [amended("1-a", SELL, (100, 3), (100, 3), 4, 4, True, 996, 4)]
    assert shown == [amended("1-a", SELL, (100, 3), (100, 2), 2, 2, True, 998, 2)]


# ── What goes to the back ─────────────────────────────────────────────────────────────────────────────────────────────


def test_more_quantity_goes_to_the_back_of_its_level_and_holds_more() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-c", "carol", 5, 100))

    events = desk.do(amend("1-a", 3, None))

    assert events == [amended("1-a", SELL, (100, 2), (100, 3), 3, 3, False, 997, 3)]
    assert first_maker(desk) == "1-c"


def test_another_price_goes_to_the_back_of_its_level() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 2, 90))
    desk.do(buy("1-c", "carol", 2, 95))

    events = desk.do(amend("1-a", None, 95))

    assert events == [amended("1-a", BUY, (90, 2), (95, 2), 2, 2, False, 810, 190)]
    trade = desk.do(sell("1-b", "bob", 1, 95))[1]
    assert isinstance(trade, Trade)
    assert trade.maker_order_id == "1-c"


def test_an_order_amended_to_cross_trades_at_once_and_rests_what_is_left() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-c", "carol", 2, 100))
    desk.do(buy("1-a", "alice", 5, 90))

    events = desk.do(amend("1-a", None, 100))

    assert kinds(events) == ["OrderAmended", "Trade"]
    assert events[0] == amended("1-a", BUY, (90, 5), (100, 3), 5, 3, False, 500, 300)


def test_an_order_amended_to_meet_its_own_account_is_canceled_by_its_mode() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-own", "alice", 2, 100))
    desk.do(buy("1-a", "alice", 5, 90))

    events = desk.do(amend("1-a", None, 100))

    assert kinds(events) == ["OrderAmended", "SelfTradePrevented", "OrderCanceled"]
    assert events[0] == amended("1-a", BUY, (90, 5), (100, 0), 5, 5, False, 1000, 0)
    assert events[2] == canceled("1-a", "alice", BUY, 100, 5, 0, "self_trade", (1000, 0))


def test_a_waiting_order_is_amended_in_quantity_and_limit_price_and_goes_on_waiting() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(stop("1-s", "alice", BUY, 3, 105, 110))

    events = desk.do(amend("1-s", 4, 120))

    assert events == [amended("1-s", BUY, (110, 0), (120, 0), 4, 4, False, 520, 480)]
    assert desk.engine.subject().status is OrderStatus.PENDING_TRIGGER


def test_an_amended_order_expires_at_the_time_it_always_had() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 2, 100, TimeInForce.GTD, expire_time=TIME + 10))

    desk.do(amend("1-a", 3, 101))

    assert desk.advance_to(TIME + 10) == [canceled("1-a", "alice", SELL, 101, 3, 3, "expired", (1000, 0))]


# ── What is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_amend_changes_nothing() -> None:
    desk = Desk(funds=1000, min_notional=150, max_quantity=9)
    desk.do(sell("1-b", "bob", 1, 200))
    desk.do(buy("1-a", "alice", 5, 100, post_only=True))
    before = [record for record in desk.engine.state_records() if record[0].startswith(("order/", "balance/"))]

    codes = []
    for number, (lots, price) in enumerate(((1, None), (10, None), (9, 190), (5, 200))):
        (event,) = desk.do(amend("1-a", lots, price, request=f"r{number}"))
        assert isinstance(event, CommandRefused)
        codes.append(event.code)

    assert codes == ["order.min_notional", "order.max_quantity", "order.insufficient_funds", "order.would_cross"]
    after = [record for record in desk.engine.state_records() if record[0].startswith(("order/", "balance/"))]
    assert after == before


def test_a_quantity_that_is_not_above_what_is_filled_is_refused() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(buy("1-b", "bob", 2, 100))

    events = desk.do(amend("1-a", 2, None))

    assert events == [CommandRefused("request.invalid", "The quantity must be above what is filled.", "quantity")]


@pytest.mark.parametrize(("account", "order_id"), [("alice", "1-none"), ("bob", "1-a"), ("alice", "1-done")])
def test_an_order_that_is_not_open_or_not_ones_own_cannot_be_amended(account: str, order_id: str) -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-done", "alice", 5, 100, TimeInForce.IOC))

    (event,) = desk.do(amend(order_id, 3, None, account))

    assert isinstance(event, CommandRefused)
    assert event.code == "order.not_cancelable"


@pytest.mark.parametrize(
    ("quantity", "price", "code", "field"),
    [
        (None, STEP + 1, "order.price_tick", "price"),
        (STEP // 2, None, "order.lot_size", "quantity"),
        (10**9 * STEP, 10**9 * STEP, "request.invalid", "quantity"),
    ],
)
def test_values_that_no_order_of_the_market_could_have_leave_no_trace(
    quantity: int | None, price: int | None, code: str, field: str
) -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))

    refusal = desk.refused(AmendOrder("r", "alice", "1-a", quantity, price))

    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == (code, field)


def test_an_order_without_a_price_gets_none() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(stop("1-s", "alice", SELL, 3, 90))

    refusal = desk.refused(amend("1-s", None, 95))

    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("order.combination", "price")
    assert kinds(desk.do(amend("1-s", 2, None))) == ["OrderAmended"]


def test_amends_are_refused_where_only_cancels_are_allowed_and_work_in_an_auction() -> None:
    answers = {}
    for status in (MarketStatus.CANCEL_ONLY, MarketStatus.HALTED, MarketStatus.AUCTION):
        desk = Desk("alice", funds=1000)
        desk.do(sell("1-a", "alice", 5, 100, post_only=True))
        desk.change(status=status)
        answers[status] = kinds(desk.do(amend("1-a", 6, None)))[0]
    suspended = Desk("alice", funds=1000)
    suspended.do(sell("1-a", "alice", 5, 100))
    suspended.do(ChangeAccount("s", "alice", "cancel_only"))

    assert answers == {"cancel_only": "CommandRefused", "halted": "CommandRefused", "auction": "OrderAmended"}
    assert kinds(suspended.do(amend("1-a", 4, None))) == ["CommandRefused"]


def test_a_copy_of_an_amend_is_known_by_its_request() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(amend("1-a", 3, None))

    assert desk.refused(amend("1-a", 3, None)) == Copy(desk.engine.sequence)


def test_a_restored_engine_has_the_amended_order_in_its_place() -> None:
    desk = Desk()
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-c", "carol", 5, 100))
    desk.do(amend("1-a", 6, None))

    again = Desk()
    again.engine = Engine.restore(desk.engine.snapshot())

    assert dict(again.engine.state_records()) == dict(desk.engine.state_records())
    assert first_maker(again) == "1-c"
