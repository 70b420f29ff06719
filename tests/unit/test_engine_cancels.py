"""The engine cancels: one order or many, only what is open and one's own."""

import pytest

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket, CreateMarket, Transfer
from exchange.events import CommandRefused
from exchange.markets import MarketStatus
from exchange.orders import Side, TimeInForce
from matching_service.engine import Copy
from tests.engines import SYMBOL, TIME, Desk, buy, canceled, market, sell

BUY, SELL = Side.BUY, Side.SELL
IOC = TimeInForce.IOC


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

    assert events == [CommandRefused("order.not_cancelable", "The order is done already.", None)]
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


def test_a_halted_market_keeps_its_orders_and_says_so_only_where_it_is_named() -> None:
    desk = Desk(funds=1000)
    desk.do(
        CreateMarket(
            market(symbol="USD-BTC", base="USD", quote="BTC", tick_size=10**18, base_decimals=4, quote_decimals=2)
        )
    )
    desk.do(buy("1-1", "alice", 1, 90))
    desk.do(ChangeMarket("x", SYMBOL, MarketStatus.HALTED))

    named = desk.do(CancelOrders("r1", "alice", SYMBOL, None))
    of_a_side = desk.do(CancelOrders("r2", "bob", SYMBOL, BUY))
    elsewhere = desk.do(CancelOrders("r3", "alice", "USD-BTC", None))
    all_of_them = desk.do(CancelOrders("r4", "alice", None, None))

    closed = CommandRefused("order.market_closed", "The market takes no orders now.", None)
    assert (named, of_a_side, elsewhere, all_of_them) == ([closed], [closed], [], [])
    assert desk.open_orders() == ["1-1"]
