"""Auctions: orders are collected, and traded at one price when the market opens."""

from typing import Any

import pytest

from exchange.commands import CancelOrder, Command, CreateMarket
from exchange.events import (
    AuctionEnded,
    AuctionStarted,
    BookUncrossed,
    CommandRefused,
    Event,
    IndicationChanged,
    MarketChanged,
    MarketCreated,
    Trade,
)
from exchange.markets import MarketStatus, ReferencePolicy
from exchange.orders import PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, TIME, Desk, accepted, at_market, buy, canceled, kinds, market, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
OPEN, AUCTION, HALTED, CANCEL_ONLY = (
    MarketStatus.OPEN,
    MarketStatus.AUCTION,
    MarketStatus.HALTED,
    MarketStatus.CANCEL_ONLY,
)


def changed(status: MarketStatus, **settings: Any) -> MarketChanged:
    return MarketChanged(market(status=status, **settings))


def test_an_auction_that_an_operator_starts_has_no_end_of_its_own() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 1, 90))
    desk.do(buy("1-b", "bob", 1, 90))

    events = desk.change(status=AUCTION)

    assert events == [AuctionStarted(SYMBOL, None, 90), changed(AUCTION)]
    assert desk.engine.next_timer() is None


def test_a_market_can_begin_with_an_auction() -> None:
    engine = Desk().engine
    opening = market(symbol="ETH-USD", status=AUCTION)

    events = engine.apply(CreateMarket(opening), TIME)

    assert events == [MarketCreated(opening), AuctionStarted("ETH-USD", None, None)]


def test_an_auction_collects_orders_that_cross_without_matching_them() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)

    first = desk.do(sell("1-a", "alice", 5, 90))
    second = desk.do(buy("1-b", "bob", 3, 110))

    assert first == [accepted("1-a", "alice", SELL, 90, 5, 995, 5)]
    assert second == [accepted("1-b", "bob", BUY, 110, 3, 670, 330), IndicationChanged(SYMBOL, 90, 3, -2)]
    assert desk.open_orders() == ["1-a", "1-b"]


@pytest.mark.parametrize(
    "placed",
    [
        buy("1-b", "bob", 1, 100, IOC),
        buy("1-b", "bob", 1, 100, FOK),
        buy("1-b", "bob", 1, 100, post_only=True),
        at_market("1-b", "bob", BUY, 1),
        at_market("1-b", "bob", BUY, quote=100),
        at_market("1-b", "bob", SELL, 1),
    ],
)
def test_an_auction_refuses_what_could_not_wait_for_its_price(placed: PlaceOrder) -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)

    assert desk.do(placed) == [rejected("1-b", "bob", "order.market_closed")]


def test_a_cancel_in_an_auction_changes_what_it_would_do() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 90))
    desk.do(buy("1-b", "bob", 3, 110))

    events = desk.do(CancelOrder("r", "bob", "1-b"))

    assert events == [
        canceled("1-b", "bob", BUY, 110, 3, 3, "user", (1000, 0)),
        IndicationChanged(SYMBOL, None, 0, 0),
    ]


def test_an_order_that_changes_nothing_of_what_the_auction_would_do_is_not_announced() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 90))
    desk.do(buy("1-b", "bob", 5, 90))

    assert kinds(desk.do(buy("1-c", "bob", 1, 80))) == ["OrderAccepted"]


def test_an_auction_trades_at_one_price_best_first_then_oldest_and_both_pay_as_takers() -> None:
    rates: dict[str, Any] = {"maker_fee_rate": 10_000_000, "taker_fee_rate": 100_000_000}
    desk = Desk(funds=10_000, **rates)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 20, 98))
    desk.do(buy("1-b", "bob", 10, 100))
    desk.do(buy("1-c", "carol", 30, 102))

    events = desk.change(status=OPEN)

    assert events == [
        Trade(SYMBOL, "1-a", "alice", "1-c", "carol", BUY, 101, 20, 2020, 202, 2, 0, 10,
              9980, 0, 11818, 0, 10018, 0, 6960, 1020, 2, 202, True),
        BookUncrossed(SYMBOL, ((102, 20, 0),), ((98, 20, 1),)),
        AuctionEnded(SYMBOL, 101, 20),
        changed(OPEN, **rates),
    ]  # fmt: skip
    assert desk.open_orders() == ["1-b", "1-c"]


def test_what_bid_more_than_the_price_of_the_auction_gets_the_difference_back() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(buy("1-b", "bob", 5, 110))
    desk.do(sell("1-a", "alice", 5, 90))

    events = desk.change(status=OPEN)

    assert events == [
        Trade(SYMBOL, "1-b", "bob", "1-a", "alice", SELL, 90, 5, 450, 0, 0, 0, 0,
              1005, 0, 550, 0, 995, 0, 1450, 0, 0, 0, True),
        BookUncrossed(SYMBOL, ((110, 5, 1),), ((90, 5, 1),)),
        AuctionEnded(SYMBOL, 90, 5),
        changed(OPEN),
    ]  # fmt: skip


def test_an_auction_knows_no_self_trade_prevention() -> None:
    desk = Desk("alice", funds=1000)
    desk.change(status=AUCTION)
    desk.do(buy("1-b", "alice", 5, 100))
    desk.do(sell("1-a", "alice", 5, 100))

    events = desk.change(status=OPEN)

    assert kinds(events) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert (desk.balance("alice", "BTC"), desk.balance("alice", "USD")) == ((1000, 0), (1000, 0))


def test_an_auction_in_which_nothing_crosses_ends_without_a_price() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 110))
    desk.do(buy("1-b", "bob", 5, 90))

    assert desk.change(status=OPEN) == [AuctionEnded(SYMBOL, None, 0), changed(OPEN)]


def test_a_market_that_opens_matches_continuously_again() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.change(status=OPEN)

    assert kinds(desk.do(buy("1-b", "bob", 5, 100))) == ["OrderAccepted", "Trade"]


def test_an_auction_that_is_halted_ends_without_trading_and_what_crosses_trades_before_the_market_opens() -> None:
    desk = Desk(funds=1000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(buy("1-b", "bob", 5, 100))

    halted = desk.change(status=HALTED)
    cancel_only = desk.change(status=CANCEL_ONLY)
    opened = desk.change(status=OPEN)

    assert halted == [AuctionEnded(SYMBOL, None, 0), changed(HALTED)]
    assert cancel_only == [changed(CANCEL_ONLY)]
    assert kinds(opened) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged"]


def test_the_price_of_an_auction_closest_to_the_last_one_is_taken_where_that_is_the_reference() -> None:
    desk = Desk(funds=10_000, reference=ReferencePolicy.LAST_AUCTION)
    for number, price in enumerate((105, 100)):
        desk.do(sell(f"1-a{number}", "alice", 1, price))
        desk.do(buy(f"1-b{number}", "bob", 1, price))
    desk.change(status=AUCTION)
    desk.do(sell("1-c", "alice", 1, 104))
    desk.do(buy("1-d", "bob", 1, 104))
    desk.change(status=OPEN)

    started = desk.change(status=AUCTION)
    desk.do(sell("1-e", "alice", 1, 90))
    indicated = desk.do(buy("1-f", "bob", 1, 120))

    assert started[0] == AuctionStarted(SYMBOL, None, 104)
    assert indicated[1] == IndicationChanged(SYMBOL, 104, 1, 0)


def crowd(desk: Desk, pairs: int, ask: int, bid: int) -> None:
    """Let one ask and one bid wait for each other, so many times."""
    for number in range(pairs):
        desk.do(sell(f"1-a{number}", f"seller{number % 3}", 1, ask))
        desk.do(buy(f"1-b{number}", f"buyer{number % 3}", 1, bid))


def test_an_auction_of_more_trades_than_a_command_may_make_goes_on_at_its_price_when_time_goes_on() -> None:
    desk = Desk("seller0 seller1 seller2 buyer0 buyer1 buyer2", funds=1_000_000)
    desk.change(status=AUCTION)
    crowd(desk, 1001, ask=100, bid=100)

    first = desk.change(status=OPEN)
    refused = desk.do(buy("1-late", "buyer0", 1, 100))
    again = Engine.restore(desk.engine.snapshot())
    second = desk.advance_to(TIME)

    assert kinds(first) == ["Trade"] * 1000 + ["BookUncrossed", "MarketChanged"]
    assert first[-1] == changed(AUCTION)
    assert refused == [rejected("1-late", "buyer0", "order.market_closed")]
    assert kinds(second) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert second[-2:] == [AuctionEnded(SYMBOL, 100, 1001), changed(OPEN)]
    assert again.next_timer() == TIME
    assert desk.engine.next_timer() is None


def test_an_auction_that_is_halted_while_it_goes_on_has_traded_what_it_has() -> None:
    desk = Desk("seller0 seller1 seller2 buyer0 buyer1 buyer2", funds=1_000_000)
    desk.change(status=AUCTION)
    crowd(desk, 1001, ask=100, bid=100)
    desk.change(status=OPEN)

    halted, opened = desk.change(status=HALTED), desk.change(status=OPEN)

    assert halted == [AuctionEnded(SYMBOL, 100, 1000), changed(HALTED)]
    assert opened[-2:] == [AuctionEnded(SYMBOL, 100, 1), changed(OPEN)]


def test_what_crosses_after_cancels_between_the_steps_of_an_auction_trades_at_a_price_of_its_own() -> None:
    desk = Desk("seller0 seller1 seller2 buyer0 buyer1 buyer2 late", funds=1_000_000)
    desk.change(status=AUCTION)
    crowd(desk, 1001, ask=95, bid=100)
    desk.do(buy("1-late", "late", 1, 96))
    desk.change(status=OPEN)
    desk.do(CancelOrder("r", "buyer1", "1-b1000"))

    first, second = desk.advance_to(TIME), desk.advance_to(TIME)

    assert first == [AuctionEnded(SYMBOL, 97, 1000), changed(AUCTION), IndicationChanged(SYMBOL, 96, 1, 0)]
    assert kinds(second) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert second[-2:] == [AuctionEnded(SYMBOL, 96, 1), changed(OPEN)]


def test_a_restored_auction_goes_on_as_the_live_one() -> None:
    desk = Desk(funds=10_000)
    desk.change(status=AUCTION)
    desk.do(sell("1-a", "alice", 5, 90))
    desk.do(buy("1-b", "bob", 3, 110))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    following: list[Command] = [sell("1-c", "carol", 1, 95), CancelOrder("r", "alice", "1-a"), buy("1-d", "bob", 1, 99)]
    for command in following:
        assert again.apply(command, TIME + 1) == desk.engine.apply(command, TIME + 1)
    assert dict(again.state_records()) == dict(desk.engine.state_records())


def test_a_market_in_cancel_only_takes_cancels_and_nothing_else() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-b", "bob", 1, 100))
    desk.change(status=CANCEL_ONLY)

    events: list[list[Event]] = [desk.do(buy("1-c", "bob", 1, 100)), desk.do(CancelOrder("r", "bob", "1-b"))]

    assert events == [
        [rejected("1-c", "bob", "order.market_closed")],
        [canceled("1-b", "bob", BUY, 100, 1, 1, "user", (1000, 0))],
    ]


def test_a_halted_market_takes_nothing_from_traders() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-b", "bob", 1, 100))
    desk.change(status=HALTED)

    assert desk.do(buy("1-c", "bob", 1, 100)) == [rejected("1-c", "bob", "order.market_closed")]
    assert desk.do(CancelOrder("r", "bob", "1-b")) == [
        CommandRefused("order.market_closed", "The market takes no orders now.", None)
    ]
