"""Self-trade prevention: the taker's mode says which of two orders of one account gives way."""

from exchange.events import Event, OrderCanceled, SelfTradePrevented, Trade
from exchange.orders import OrderStatus, SelfTradePrevention, Side, TimeInForce
from tests.engines import SYMBOL, Desk, accepted, at_market, buy, canceled, kinds, reason_of, sell

BUY, SELL = Side.BUY, Side.SELL
FOK, IOC = TimeInForce.FOK, TimeInForce.IOC
NEWEST, OLDEST, BOTH, DECREMENT = tuple(SelfTradePrevention)


def desk_with_an_own_order_in_front(lots: int = 4) -> Desk:
    """Bob's own ask stands before one of alice."""
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-own", "bob", lots, 100))
    desk.do(sell("1-a", "alice", 6, 100))
    return desk


def prevented(mode: SelfTradePrevention, lots: int, left: tuple[int, int], removed: int, *balances: int) -> Event:
    """Of `1-own` by `1-b`; what is left is that of maker and taker, the balances as well."""
    return SelfTradePrevented(SYMBOL, "bob", "1-own", "1-b", BUY, mode, 100, lots, *left, removed, *balances)


def test_cancel_newest_ends_the_incoming_order_and_leaves_the_resting_one() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(buy("1-b", "bob", 5, 100))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
        prevented(NEWEST, 4, (4, 5), 0, 996, 4, 500, 500),
        canceled("1-b", "bob", BUY, 100, 5, 0, "self_trade", (1000, 0)),
    ]
    assert desk.open_orders() == ["1-own", "1-a"]


def test_cancel_oldest_ends_the_resting_order_and_the_incoming_one_goes_on() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(buy("1-b", "bob", 5, 100, self_trade_prevention=OLDEST))

    assert kinds(events) == ["OrderAccepted", "SelfTradePrevented", "OrderCanceled", "Trade"]
    assert events[1:3] == [
        prevented(OLDEST, 4, (4, 5), 0, 996, 4, 500, 500),
        canceled("1-own", "bob", SELL, 100, 4, 4, "self_trade", (1000, 0)),
    ]
    assert isinstance(events[3], Trade)
    assert (events[3].maker_order_id, events[3].quantity_lots) == ("1-a", 5)


def test_cancel_both_ends_both() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(buy("1-b", "bob", 5, 100, self_trade_prevention=BOTH))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
        prevented(BOTH, 4, (4, 5), 0, 996, 4, 500, 500),
        canceled("1-own", "bob", SELL, 100, 4, 4, "self_trade", (1000, 0)),
        canceled("1-b", "bob", BUY, 100, 5, 0, "self_trade", (1000, 0)),
    ]
    assert desk.open_orders() == ["1-a"]


def test_decrement_takes_the_smaller_quantity_from_both_and_the_incoming_order_goes_on() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(buy("1-b", "bob", 9, 100, self_trade_prevention=DECREMENT))

    assert kinds(events) == ["OrderAccepted", "SelfTradePrevented", "OrderCanceled", "Trade"]
    assert events[1:3] == [
        prevented(DECREMENT, 4, (0, 5), 4, 1000, 0, 500, 500),
        canceled("1-own", "bob", SELL, 100, 0, 0, "self_trade", (1000, 0)),
    ]
    (own, _, taker) = desk.engine.take_changes().orders
    assert (own.status, own.record().prevented_lots) == (OrderStatus.CANCELED, 4)
    record = taker.record()
    assert (record.status, record.filled_lots, record.prevented_lots) == (OrderStatus.FILLED, 5, 4)


def test_an_order_that_decrement_takes_everything_from_is_canceled() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(buy("1-b", "bob", 3, 100, self_trade_prevention=DECREMENT))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
        prevented(DECREMENT, 3, (1, 0), 3, 999, 1, 1000, 0),
        canceled("1-b", "bob", BUY, 100, 0, 0, "self_trade", (1000, 0)),
    ]
    assert desk.open_orders() == ["1-own", "1-a"]


def test_a_resting_order_that_loses_lots_to_decrement_is_among_the_changes() -> None:
    desk = desk_with_an_own_order_in_front()
    desk.engine.take_changes()

    desk.do(buy("1-b", "bob", 3, 100, self_trade_prevention=DECREMENT))

    changed = {order.placed.order_id: order.record() for order in desk.engine.take_changes().orders}
    assert (changed["1-own"].prevented_lots, changed["1-own"].sequence) == (3, desk.engine.sequence)


def test_decrement_takes_from_what_an_iceberg_hides_before_what_it_shows() -> None:
    desk = Desk("bob", funds=1000)
    desk.do(sell("1-own", "bob", 10, 100, display_lots=3))

    hidden = desk.do(buy("1-b", "bob", 6, 100, self_trade_prevention=DECREMENT))[1]
    shown = desk.do(buy("1-c", "bob", 2, 100, self_trade_prevention=DECREMENT))[1]

    assert isinstance(hidden, SelfTradePrevented) and isinstance(shown, SelfTradePrevented)
    assert (hidden.lots, hidden.maker_remaining_lots, hidden.maker_resting_lots_removed) == (6, 4, 0)
    assert (shown.lots, shown.maker_remaining_lots, shown.maker_resting_lots_removed) == (2, 2, 1)


def test_the_mode_of_the_resting_order_does_not_count() -> None:
    desk = Desk("bob", funds=1000)
    desk.do(sell("1-own", "bob", 4, 100, self_trade_prevention=OLDEST))

    assert reason_of(desk.do(buy("1-b", "bob", 5, 100))) == "self_trade"
    assert desk.open_orders() == ["1-own"]


def test_own_orders_behind_the_last_trade_stay_by_any_mode() -> None:
    for mode in SelfTradePrevention:
        desk = Desk("alice bob", funds=1000)
        desk.do(sell("1-a", "alice", 5, 100))
        desk.do(sell("1-own", "bob", 4, 100))

        events = desk.do(buy("1-b", "bob", 5, 100, self_trade_prevention=mode))

        assert kinds(events) == ["OrderAccepted", "Trade"]


def test_a_fok_order_counts_what_is_behind_its_own_orders_only_where_they_give_way() -> None:
    answers = {}
    for mode in SelfTradePrevention:
        desk = desk_with_an_own_order_in_front()
        events = desk.do(buy("1-b", "bob", 6, 100, FOK, self_trade_prevention=mode))
        answers[mode] = [event.reason for event in events if isinstance(event, OrderCanceled)]

    assert answers == {
        NEWEST: ["fok_unfilled"],
        OLDEST: ["self_trade"],
        BOTH: ["fok_unfilled"],
        DECREMENT: ["self_trade"],
    }


def test_a_fok_order_never_counts_its_own_orders() -> None:
    for mode in SelfTradePrevention:
        desk = desk_with_an_own_order_in_front()

        events = desk.do(buy("1-b", "bob", 7, 100, FOK, self_trade_prevention=mode))

        assert events == [
            accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
            canceled("1-b", "bob", BUY, 100, 7, 0, "fok_unfilled", (1000, 0)),
        ]


def test_a_market_buy_pays_for_what_others_sell_and_not_for_its_own_orders() -> None:
    desk = Desk("alice bob", funds=600)
    desk.do(sell("1-own", "bob", 4, 100))
    desk.do(sell("1-a", "alice", 6, 100))
    order = at_market("1-b", "bob", BUY, 6, IOC, mode=OLDEST)

    events = desk.do(order)

    assert kinds(events) == ["OrderAccepted", "SelfTradePrevented", "OrderCanceled", "Trade"]
    assert desk.balance("bob", "USD") == (0, 0)


def test_a_quote_order_gives_up_the_money_for_the_lots_that_decrement_takes() -> None:
    desk = desk_with_an_own_order_in_front()

    events = desk.do(at_market("1-b", "bob", BUY, quote=950, mode=DECREMENT))

    assert kinds(events) == ["OrderAccepted", "SelfTradePrevented", "OrderCanceled", "Trade"]
    record = desk.engine.subject()
    assert (record.status, record.filled_lots, record.filled_quote) == (OrderStatus.FILLED, 5, 500)
    assert (record.remaining_lots, record.prevented_lots) == (None, 4)
