"""The engine, rule by rule: whole event lists for what an order holds, trades and leaves."""

from exchange.events import Trade
from exchange.orders import OrderStatus, Side, TimeInForce
from tests.engines import SYMBOL, Desk, accepted, at_market, buy, canceled, kinds, reason_of, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


# ── Holding ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── What becomes of the rest ──────────────────────────────────────────────────────────────────────────────────────────


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

    assert kinds(events) == ["OrderAccepted", "Trade", "SelfTradePrevented", "OrderCanceled"]
    assert events[3] == canceled("1-b", "bob", BUY, 100, 3, 0, "self_trade", (800, 0))
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
