"""Price bands: how far from its reference a market goes in one step, and the volatility auction that stops it."""

from typing import Any

import pytest

from exchange.events import (
    AuctionEnded,
    AuctionStarted,
    BookUncrossed,
    IndicationChanged,
    MarketChanged,
    OrderAccepted,
    Trade,
)
from exchange.markets import MarketStatus, ReferencePolicy
from exchange.orders import PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, TIME, Desk, accepted, at_market, buy, canceled, kinds, market, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
TENTH = 100_000_000
ENDS = TIME + 30_000_000


def desk_at(price: int, **settings: Any) -> Desk:
    """A market with a band of a tenth, whose last trade was at this price; bob bought one lot of alice."""
    desk = Desk(funds=100_000, price_band=TENTH, **settings)
    desk.do(sell("1-s", "alice", 1, price))
    desk.do(buy("1-t", "bob", 1, price))
    return desk


@pytest.mark.parametrize(
    ("placed", "is_taken"),
    [
        (buy("1-x", "bob", 1, 111), True),
        (buy("1-x", "bob", 1, 112), False),
        (buy("1-x", "bob", 1, 1), True),
        (sell("1-x", "bob", 1, 91), True),
        (sell("1-x", "bob", 1, 90), False),
        (sell("1-x", "bob", 1, 500), True),
    ],
)
def test_a_buy_above_and_a_sell_below_the_band_is_refused(placed: PlaceOrder, is_taken: bool) -> None:
    desk = desk_at(101)

    events = desk.do(placed)

    assert kinds(events) == (["OrderAccepted"] if is_taken else ["OrderRejected"])
    assert is_taken or events == [rejected("1-x", "bob", "order.price_band")]


def test_without_a_reference_there_is_no_band() -> None:
    desk = Desk(funds=100_000, price_band=TENTH)

    assert desk.do(buy("1-x", "bob", 1, 5000)) == [accepted("1-x", "bob", BUY, 5000, 1, 95_000, 5000)]


def test_a_moving_reference_is_the_price_of_the_last_trade_before_the_command() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 1, 110))
    desk.do(buy("1-b", "bob", 1, 110))

    assert kinds(desk.do(buy("1-c", "bob", 1, 121))) == ["OrderAccepted"]
    assert kinds(desk.do(buy("1-d", "bob", 1, 122))) == ["OrderRejected"]


def test_the_price_of_the_last_auction_stays_the_reference_where_that_is_the_policy() -> None:
    desk = Desk(funds=100_000, price_band=TENTH, reference=ReferencePolicy.LAST_AUCTION)
    desk.do(sell("1-a", "alice", 1, 300))
    desk.do(buy("1-b", "bob", 1, 300))
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-c", "alice", 1, 100))
    desk.do(buy("1-d", "bob", 1, 100))
    desk.change(status=MarketStatus.OPEN)
    desk.do(sell("1-e", "alice", 1, 110))
    desk.do(buy("1-f", "bob", 1, 110))

    assert kinds(desk.do(buy("1-g", "bob", 1, 110))) == ["OrderAccepted"]
    assert kinds(desk.do(buy("1-h", "bob", 1, 111))) == ["OrderRejected"]


def test_a_trade_that_would_leave_the_band_starts_a_volatility_auction_instead() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 2, 110))
    desk.do(sell("1-c", "carol", 2, 111))

    events = desk.do(at_market("1-b", "bob", BUY, 3))

    assert events == [
        OrderAccepted("1-b", "bob", SYMBOL, BUY, None, 0, 99_680, 0),
        Trade(SYMBOL, "1-a", "alice", "1-b", "bob", BUY, 110, 2, 220, 0, 0, 0, 1,
              99_997, 0, 100_320, 0, 100_003, 0, 99_680, 0, 0, 0),
        canceled("1-b", "bob", BUY, None, 1, 0, "insufficient_liquidity", (99_680, 0)),
        AuctionStarted(SYMBOL, ENDS, 110),
        MarketChanged(market(price_band=TENTH, status=MarketStatus.AUCTION)),
    ]  # fmt: skip
    assert desk.engine.next_timer() == ENDS


def test_what_a_quote_quantity_has_left_is_filled_if_it_buys_no_lot_beyond_the_band() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 2, 110))
    desk.do(sell("1-c", "carol", 2, 111))

    assert kinds(desk.do(at_market("1-b", "bob", BUY, quote=330))) == ["OrderAccepted", "Trade"]
    assert kinds(desk.do(at_market("1-d", "bob", BUY, quote=120))) == ["OrderAccepted", "Trade"]


def test_a_quote_quantity_that_could_buy_beyond_the_band_starts_a_volatility_auction() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 2, 110))
    desk.do(sell("1-c", "carol", 2, 111))

    assert kinds(desk.do(at_market("1-b", "bob", BUY, quote=331))) == [
        "OrderAccepted", "Trade", "OrderCanceled", "AuctionStarted", "MarketChanged",
    ]  # fmt: skip


def test_a_fill_or_kill_order_counts_nothing_beyond_the_band_and_starts_no_auction() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 2, 110))
    desk.do(sell("1-c", "carol", 2, 111))

    assert desk.do(at_market("1-b", "bob", BUY, 3, FOK)) == [
        OrderAccepted("1-b", "bob", SYMBOL, BUY, None, 0, 99_900, 0),
        canceled("1-b", "bob", BUY, None, 3, 0, "fok_unfilled", (99_900, 0)),
    ]


def test_a_limit_order_that_meets_a_price_out_of_the_band_waits_in_the_auction_it_starts() -> None:
    desk = Desk(funds=100_000, reference=ReferencePolicy.LAST_AUCTION)
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.change(status=MarketStatus.OPEN)
    desk.do(sell("1-a", "alice", 5, 80))
    desk.change(price_band=TENTH)

    resting = desk.do(buy("1-b", "bob", 3, 100))
    desk.do(sell("1-c", "carol", 1, 95))
    ended = desk.advance_to(ENDS)

    auction = market(price_band=TENTH, reference=ReferencePolicy.LAST_AUCTION, status=MarketStatus.AUCTION)
    assert resting == [
        accepted("1-b", "bob", BUY, 100, 3, 99_600, 300),
        AuctionStarted(SYMBOL, ENDS, 100),
        MarketChanged(auction),
        IndicationChanged(SYMBOL, 100, 3, -2),
    ]
    assert ended[1:3] == [BookUncrossed(SYMBOL, ((100, 3, 1),), ((80, 3, 0),)), AuctionEnded(SYMBOL, 94, 3)]


def test_an_immediate_order_that_starts_an_auction_is_canceled() -> None:
    desk = Desk(funds=100_000, reference=ReferencePolicy.LAST_AUCTION)
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.change(status=MarketStatus.OPEN)
    desk.do(sell("1-a", "alice", 5, 80))
    desk.change(price_band=TENTH)

    events = desk.do(buy("1-b", "bob", 3, 100, IOC))

    assert events[:2] == [
        accepted("1-b", "bob", BUY, 100, 0, 99_900, 0),
        canceled("1-b", "bob", BUY, 100, 3, 0, "insufficient_liquidity", (99_900, 0)),
    ]
    assert kinds(events[2:]) == ["AuctionStarted", "MarketChanged"]


def test_post_only_would_cross_a_price_beyond_the_band_as_any_other() -> None:
    desk = Desk(funds=100_000, reference=ReferencePolicy.LAST_AUCTION)
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.change(status=MarketStatus.OPEN)
    desk.do(sell("1-a", "alice", 5, 80))
    desk.change(price_band=TENTH)

    assert desk.do(buy("1-b", "bob", 1, 100, post_only=True)) == [rejected("1-b", "bob", "order.would_cross")]


def test_a_volatility_auction_ends_by_the_time_and_its_price_is_the_reference_at_once() -> None:
    desk = desk_at(100)
    desk.do(sell("1-a", "alice", 1, 130))
    desk.do(at_market("1-b", "bob", BUY, 1))
    desk.do(buy("1-c", "bob", 1, 130))

    too_early, events = desk.advance_to(ENDS - 1), desk.advance_to(ENDS)

    assert too_early == []
    assert events == [
        Trade(SYMBOL, "1-a", "alice", "1-c", "bob", BUY, 130, 1, 130, 0, 0, 0, 0,
              99_998, 0, 100_230, 0, 100_002, 0, 99_770, 0, 0, 0, True),
        BookUncrossed(SYMBOL, ((130, 1, 1),), ((130, 1, 1),)),
        AuctionEnded(SYMBOL, 130, 1),
        MarketChanged(market(price_band=TENTH)),
    ]  # fmt: skip
    assert desk.engine.next_timer() is None
    assert kinds(desk.do(buy("1-d", "bob", 1, 143))) == ["OrderAccepted"]
    assert kinds(desk.do(buy("1-e", "bob", 1, 144))) == ["OrderRejected"]


def test_an_auction_takes_orders_beyond_the_band() -> None:
    desk = desk_at(100)
    desk.change(status=MarketStatus.AUCTION)

    assert kinds(desk.do(buy("1-c", "bob", 1, 500))) == ["OrderAccepted"]


def test_a_band_that_is_taken_away_holds_nobody() -> None:
    desk = desk_at(100)

    assert desk.change(clears_price_band=True) == [MarketChanged(market())]
    assert kinds(desk.do(buy("1-c", "bob", 1, 500))) == ["OrderAccepted"]


def test_a_restored_market_has_its_band_and_the_end_of_its_auction() -> None:
    desk = desk_at(100)
    again = Engine.restore(desk.engine.snapshot())
    assert kinds(again.apply(buy("1-x", "bob", 1, 111), TIME)) == ["OrderRejected"]
    desk.do(sell("1-a", "alice", 1, 130))
    desk.do(at_market("1-b", "bob", BUY, 1))

    again = Engine.restore(desk.engine.snapshot())

    assert again.next_timer() == ENDS
    assert dict(again.state_records()) == dict(desk.engine.state_records())
