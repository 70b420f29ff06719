"""The engine, rule by rule: whole event lists for what an order, a cancel or an operator's command does."""

import pytest

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket, Command, Transfer
from exchange.events import CommandRefused, Event, MarketChanged, OrderAccepted, OrderCanceled, OrderRejected, Trade
from exchange.markets import MarketStatus
from exchange.orders import OrderRecord, OrderStatus, PlaceOrder, Side, TimeInForce
from matching_service.engine import Copy, Engine, Refusal
from tests.engines import SYMBOL, TIME, Desk, at_market, buy, market, sell

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def accepted(
    order_id: str, account: str, side: Side, price: int | None, resting: int, available: int, held: int
) -> OrderAccepted:
    return OrderAccepted(order_id, account, SYMBOL, side, price, resting, available, held)


def rejected(order_id: str, account: str, code: str) -> OrderRejected:
    return OrderRejected(order_id, account, SYMBOL, code)


def canceled(
    order_id: str,
    account: str,
    side: Side,
    price: int | None,
    remaining: int | None,
    rested: int,
    reason: str,
    balance: tuple[int, int],
) -> OrderCanceled:
    return OrderCanceled(order_id, account, SYMBOL, side, price, remaining, rested, reason, *balance)


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def reason_of(events: list[Event]) -> str:
    last = events[-1]
    assert isinstance(last, OrderCanceled)
    return last.reason


def not_cancelable() -> list[CommandRefused]:
    return [CommandRefused("order.not_cancelable", "The order is done already.", None)]


# ── Holding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resting_buy_holds_price_times_quantity_of_quote() -> None:
    desk = Desk("alice", funds=1000)

    events = desk.do(buy("1-a", "alice", 3, 100))

    assert events == [accepted("1-a", "alice", BUY, 100, resting=3, available=700, held=300)]


def test_a_resting_sell_holds_its_quantity_of_base() -> None:
    desk = Desk("alice", funds=1000)

    events = desk.do(sell("1-a", "alice", 3, 100))

    assert events == [accepted("1-a", "alice", SELL, 100, resting=3, available=997, held=3)]


def test_a_buy_that_fills_better_than_its_price_gets_the_difference_back() -> None:
    desk = Desk(funds=1000, taker_fee_rate=0)
    desk.do(sell("1-a", "alice", 4, 90))

    events = desk.do(buy("1-b", "bob", 10, 100))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=6, available=40, held=600),
        Trade(
            SYMBOL, "1-a", "alice", "1-b", "bob", BUY, 90, 4, 360, 0, 0, 0, 6,
            996, 0, 1360, 0, 1004, 0, 40, 600, 0, 0,
        ),
    ]  # fmt: skip
    assert desk.balance("bob", "USD") == (40, 600)


def test_both_sides_pay_their_fee_in_the_asset_received_rounded_up() -> None:
    desk = Desk(funds=1000, maker_fee_rate=1_000_000, taker_fee_rate=2_000_000)
    desk.do(sell("1-a", "alice", 3, 150))

    events = desk.do(buy("1-b", "bob", 3, 150))

    assert events == [
        accepted("1-b", "bob", BUY, 150, resting=0, available=550, held=0),
        Trade(
            SYMBOL, "1-a", "alice", "1-b", "bob", BUY, 150, 3, 450, 1, 1, 0, 0,
            997, 0, 1449, 0, 1002, 0, 550, 0, 1, 1,
        ),
    ]  # fmt: skip
    assert (desk.balance("fees", "USD"), desk.balance("fees", "BTC")) == ((1, 0), (1, 0))


def test_a_selling_taker_trades_at_the_makers_price_and_pays_its_fee_in_quote() -> None:
    desk = Desk(funds=1000, maker_fee_rate=0, taker_fee_rate=10_000_000)
    desk.do(buy("1-a", "alice", 2, 200))

    events = desk.do(sell("1-b", "bob", 5, 150))

    assert events == [
        accepted("1-b", "bob", SELL, 150, resting=3, available=995, held=3),
        Trade(
            SYMBOL, "1-a", "alice", "1-b", "bob", SELL, 200, 2, 400, 0, 4, 0, 3,
            1002, 0, 600, 0, 995, 3, 1396, 0, 0, 4,
        ),
    ]  # fmt: skip


# ── What becomes of the rest ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_rest_of_an_ioc_order_is_canceled_and_its_hold_released() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))

    events = desk.do(buy("1-b", "bob", 5, 100, IOC))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderCanceled"]
    assert events[0] == accepted("1-b", "bob", BUY, 100, resting=0, available=800, held=0)
    assert events[2] == canceled("1-b", "bob", BUY, 100, 3, 0, "ioc_remainder", (800, 0))


def test_a_fok_order_that_cannot_fill_trades_nothing() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))

    events = desk.do(buy("1-b", "bob", 3, 100, FOK))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
        canceled("1-b", "bob", BUY, 100, 3, 0, "fok_unfilled", (1000, 0)),
    ]


def test_a_fok_order_counts_nothing_at_or_behind_an_own_order() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-own", "bob", 2, 100))
    desk.do(sell("1-c", "carol", 2, 100))

    assert reason_of(desk.do(buy("1-b", "bob", 4, 100, FOK))) == "fok_unfilled"
    assert kinds(desk.do(buy("1-d", "bob", 2, 100, FOK))) == ["OrderAccepted", "Trade"]


def test_an_incoming_order_that_meets_its_own_trades_before_it_and_its_rest_is_canceled() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-own", "bob", 2, 100))

    events = desk.do(buy("1-b", "bob", 5, 100))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderCanceled"]
    assert events[2] == canceled("1-b", "bob", BUY, 100, 3, 0, "self_trade", (800, 0))
    assert desk.open_orders() == ["1-own"]


def test_a_market_order_that_empties_the_book_is_canceled_for_insufficient_liquidity() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 2, 100))

    events = desk.do(at_market("1-b", "bob", SELL, 5))

    assert kinds(events) == ["OrderAccepted", "Trade", "OrderCanceled"]
    assert events[0] == accepted("1-b", "bob", SELL, None, resting=0, available=998, held=0)
    assert events[2] == canceled("1-b", "bob", SELL, None, 3, 0, "insufficient_liquidity", (998, 0))


def test_a_market_buy_by_quantity_pays_what_it_walks_and_holds_nothing() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-b", "alice", 2, 110))

    events = desk.do(at_market("1-c", "bob", BUY, 3))

    assert kinds(events) == ["OrderAccepted", "Trade", "Trade"]
    assert events[0] == accepted("1-c", "bob", BUY, None, resting=0, available=690, held=0)


def test_a_market_buy_whose_walk_costs_more_than_is_available_is_refused_whole() -> None:
    desk = Desk(funds=309)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-b", "alice", 2, 110))

    assert desk.do(at_market("1-c", "bob", BUY, 3)) == [rejected("1-c", "bob", "order.insufficient_funds")]


def test_a_market_buy_walks_only_up_to_its_own_order() -> None:
    desk = Desk(funds=250)
    desk.do(sell("1-a", "alice", 2, 100))
    desk.do(sell("1-own", "bob", 2, 110))

    assert reason_of(desk.do(at_market("1-c", "bob", BUY, 9))) == "self_trade"


def test_a_quote_order_is_filled_when_its_rest_buys_no_lot_at_the_best_ask() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))

    events = desk.do(at_market("1-b", "bob", BUY, quote=350))

    assert kinds(events) == ["OrderAccepted", "Trade"]
    assert events[0] == accepted("1-b", "bob", BUY, None, resting=0, available=700, held=0)
    record = desk.engine.take_changes().orders[-1].record()
    assert (record.status, record.filled_lots, record.remaining_lots) == (OrderStatus.FILLED, 3, None)
    assert record.filled_quote == 300


def test_a_quote_order_that_empties_the_book_is_canceled_without_a_remaining_quantity() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))

    events = desk.do(at_market("1-b", "bob", BUY, quote=350))

    assert events[-1] == canceled("1-b", "bob", BUY, None, None, 0, "insufficient_liquidity", (800, 0))


def test_a_quote_order_above_what_is_available_is_refused_also_when_it_would_spend_less() -> None:
    desk = Desk(funds=300)
    desk.do(sell("1-a", "alice", 1, 100))

    assert desk.do(at_market("1-b", "bob", BUY, quote=301)) == [rejected("1-b", "bob", "order.insufficient_funds")]


def test_a_quote_fok_order_trades_only_when_it_can_spend_all_but_less_than_a_lot() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))

    assert reason_of(desk.do(at_market("1-b", "bob", BUY, tif=FOK, quote=400))) == "fok_unfilled"
    assert kinds(desk.do(at_market("1-c", "bob", BUY, tif=FOK, quote=250))) == ["OrderAccepted", "Trade"]


def test_a_gtc_order_that_has_met_1000_makers_is_canceled_with_its_rest() -> None:
    desk = Desk("alice bob carol")
    for number in range(501):
        desk.do(sell(f"1-a{number}", "alice", 1, 100))
        desk.do(sell(f"1-c{number}", "carol", 1, 100))

    events = desk.do(buy("1-b", "bob", 1002, 100))

    assert len(events) == 1002
    assert events[-1] == canceled("1-b", "bob", BUY, 100, 2, 0, "insufficient_liquidity", (900_000, 0))
    assert desk.open_orders() == ["1-a500", "1-c500"]


# ── Refusals, in the order in which they are checked ─────────────────────────────────────────────────────────────────


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


# ── Without trace ────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Canceling ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_takes_the_order_out_of_the_book_and_releases_its_hold() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(buy("1-b", "bob", 2, 100))

    events = desk.do(CancelOrder("r", "alice", "1-a"))

    assert events == [canceled("1-a", "alice", SELL, 100, 3, 3, "user", (998, 0))]
    assert desk.open_orders() == []


@pytest.mark.parametrize("account_and_order", [("alice", "1-unknown"), ("bob", "1-a"), ("alice", "1-done")])
def test_an_order_that_is_not_open_or_not_ones_own_cannot_be_canceled(account_and_order: tuple[str, str]) -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-done", "alice", 5, 100, IOC))
    sequence = desk.engine.sequence

    events = desk.do(CancelOrder("r", *account_and_order))

    assert events == not_cancelable()
    assert desk.engine.sequence == sequence + 1


def test_a_copy_of_a_cancel_is_known_by_its_request_for_120_seconds() -> None:
    desk = Desk("alice")
    command = CancelOrder("r", "alice", "1-a")
    desk.do(command)
    sequence = desk.engine.sequence

    desk.engine.apply(Transfer("deposit", "alice", "USD", 1, "later"), TIME + 120_000_000)
    assert desk.refused(command) == Copy(sequence)

    desk.engine.apply(Transfer("deposit", "alice", "USD", 1, "too late"), TIME + 120_000_001)
    assert desk.refused(command) is None


def test_all_orders_of_an_account_are_canceled_oldest_first_by_symbol_and_side() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-1", "alice", 1, 90))
    desk.do(sell("1-2", "alice", 1, 110))
    desk.do(buy("1-3", "alice", 1, 95))
    desk.do(buy("1-4", "bob", 1, 95))

    bids = desk.do(CancelOrders("r1", "alice", SYMBOL, BUY))
    rest = desk.do(CancelOrders("r2", "alice", None, None))
    nothing = desk.do(CancelOrders("r3", "alice", None, None))

    assert bids == [
        canceled("1-1", "alice", BUY, 90, 1, 1, "user", (905, 95)),
        canceled("1-3", "alice", BUY, 95, 1, 1, "user", (1000, 0)),
    ]
    assert rest == [canceled("1-2", "alice", SELL, 110, 1, 1, "user", (1000, 0))]
    assert nothing == []
    assert desk.open_orders() == ["1-4"]


# ── Market states ────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Sequence, changes, restoring ─────────────────────────────────────────────────────────────────────────────────────


def test_every_applied_command_takes_the_next_sequence_and_its_time() -> None:
    engine = Desk("alice").engine
    first = engine.sequence

    engine.apply(buy("1-a", "alice", 1, 100), TIME + 5)
    engine.apply(CancelOrder("r", "alice", "1-x"), TIME + 5)

    assert (engine.sequence, engine.time) == (first + 2, TIME + 5)


def test_engine_time_never_goes_back() -> None:
    engine = Desk("alice").engine

    with pytest.raises(AssertionError):
        engine.apply(buy("1-a", "alice", 1, 100), TIME - 1)


def test_an_order_changed_twice_in_a_batch_is_among_the_changes_once_as_it_is_at_the_end() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))
    desk.do(buy("1-b", "bob", 1, 100))
    desk.do(CancelOrder("r", "alice", "1-a"))

    changes = desk.engine.take_changes()

    assert [(order.placed.order_id, order.status, order.filled_lots) for order in changes.orders] == [
        ("1-a", OrderStatus.CANCELED, 1),
        ("1-b", OrderStatus.FILLED, 1),
    ]
    assert sorted((balance.account_id, balance.asset) for balance in changes.balances) == [
        ("alice", "BTC"), ("alice", "USD"), ("bob", "BTC"), ("bob", "USD"), ("fees", "BTC"), ("fees", "USD"),
    ]  # fmt: skip


def test_an_order_of_an_earlier_batch_is_among_the_changes_again_when_it_trades() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))
    desk.engine.take_changes()

    desk.do(buy("1-b", "bob", 1, 100))

    changed = [order.placed.order_id for order in desk.engine.take_changes().orders]
    assert changed == ["1-b", "1-a"]


def test_a_poisoned_order_takes_a_sequence_and_touches_no_book() -> None:
    desk = Desk("alice", funds=1000)

    events = desk.engine.apply_poisoned(buy("1-a", "alice", 1, 100), TIME)

    assert events == [rejected("1-a", "alice", "engine.refused")]
    assert desk.refused(buy("1-a", "alice", 1, 100)) == Copy(desk.engine.sequence)
    assert desk.balance("alice", "USD") == (1000, 0)


@pytest.mark.parametrize(
    "command", [Transfer("deposit", "alice", "USD", 1, "poison"), CancelOrder("poison", "alice", "1-a")]
)
def test_another_poisoned_command_is_refused_and_its_id_remembered(command: Command) -> None:
    desk = Desk("alice", funds=1000)

    events = desk.engine.apply_poisoned(command, TIME)

    assert events == [CommandRefused("engine.refused", "The engine refused the command.", None)]
    assert desk.refused(command) == Copy(desk.engine.sequence)
    assert desk.balance("alice", "USD") == (1000, 0)


def test_a_restored_engine_has_the_state_and_the_priorities_of_the_live_one() -> None:
    desk = Desk(funds=1000, maker_fee_rate=1_000_000, taker_fee_rate=2_000_000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-c", "carol", 5, 100))
    desk.do(buy("1-b", "bob", 2, 100))
    desk.do(CancelOrder("r", "alice", "1-x"))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    following: list[Command] = [buy("1-d", "bob", 6, 100), CancelOrder("r2", "carol", "1-c")]
    for command in following:
        assert again.apply(command, TIME + 1) == desk.engine.apply(command, TIME + 1)
    assert dict(again.state_records()) == dict(desk.engine.state_records())


def test_a_snapshot_stays_as_it_was_taken() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    snapshot = desk.engine.snapshot()
    before = dict(Engine.restore(snapshot).state_records())

    desk.do(CancelOrder("r", "alice", "1-a"))

    assert dict(Engine.restore(snapshot).state_records()) == before


def test_a_state_whose_holds_do_not_fit_its_open_orders_is_not_restored() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    snapshot = desk.engine.snapshot()
    for balance in snapshot.balances:
        balance.held += 1

    with pytest.raises(AssertionError):
        Engine.restore(snapshot)
