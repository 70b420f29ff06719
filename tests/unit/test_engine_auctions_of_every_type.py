"""Auctions with every type of order: icebergs, waiting orders, pairs, good-till orders and amends."""

from exchange.commands import AmendOrder, PlacePair
from exchange.events import (
    AuctionEnded,
    BookUncrossed,
    IndicationChanged,
    OrderAmended,
    OrderReplenished,
    OrderTriggered,
    Trade,
)
from exchange.markets import MarketStatus
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, TIME, Desk, buy, canceled, kinds, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
OPEN, AUCTION = MarketStatus.OPEN, MarketStatus.AUCTION
LOT = 10**16
TENTH = 100_000_000


def stop(order_id: str, account: str, side: Side, lots: int, at: int, limit: int | None = None) -> PlaceOrder:
    kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    tif = TimeInForce.IOC if limit is None else TimeInForce.GTC
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, kind, lots, limit, tif, stop_price_ticks=at)


def auction() -> Desk:
    """An auction after a trade at 100 between alice, who sold one lot, and bob."""
    desk = Desk(funds=10_000)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.change(status=AUCTION)
    return desk


def test_an_iceberg_takes_part_in_an_auction_with_all_it_has_and_goes_on_showing_its_slice() -> None:
    desk = auction()
    desk.do(sell("1-a", "alice", 20, 100, display_lots=5))

    indicated = desk.do(buy("1-b", "bob", 13, 100))
    ended = desk.change(status=OPEN)

    assert indicated[1:] == [IndicationChanged(SYMBOL, 100, 13, -7)]
    assert ended[1:3] == [BookUncrossed(SYMBOL, ((100, 13, 1),), ((100, 0, 0),)), AuctionEnded(SYMBOL, 100, 13)]
    record = desk.engine.record("1-a")
    assert record is not None
    assert (record.remaining_lots, record.displayed_lots) == (7, 5)


def test_an_iceberg_that_has_less_left_than_its_slice_shows_that() -> None:
    desk = auction()
    desk.do(sell("1-a", "alice", 20, 100, display_lots=5))
    desk.do(buy("1-b", "bob", 17, 100))

    ended = desk.change(status=OPEN)

    assert ended[1] == BookUncrossed(SYMBOL, ((100, 17, 1),), ((100, 2, 0),))
    assert OrderReplenished not in {type(event) for event in ended}
    again = Engine.restore(desk.engine.snapshot())
    assert dict(again.state_records()) == dict(desk.engine.state_records())
    assert kinds(desk.do(buy("1-c", "bob", 3, 100))) == ["OrderAccepted", "Trade"]


def test_waiting_orders_enter_an_auction_and_wait_for_its_price() -> None:
    desk = auction()
    desk.do(stop("1-w", "carol", SELL, 1, 95))
    desk.do(buy("1-b", "bob", 1, 80))
    desk.do(buy("1-c", "bob", 1, 90))
    desk.do(sell("1-a", "alice", 1, 90))

    ended = desk.change(status=OPEN)

    assert kinds(ended) == [
        "Trade", "BookUncrossed", "AuctionEnded", "MarketChanged", "OrderTriggered", "Trade",
    ]  # fmt: skip
    triggered = ended[-2]
    assert isinstance(triggered, OrderTriggered)
    assert triggered.order_id == "1-w"
    assert desk.engine.next_timer() is None


def test_an_order_that_would_trigger_at_once_is_refused_in_an_auction_too() -> None:
    desk = auction()

    assert desk.do(stop("1-w", "carol", SELL, 1, 101)) == [rejected("1-w", "carol", "order.would_trigger")]


def test_a_triggered_order_that_would_leave_the_band_starts_a_volatility_auction() -> None:
    desk = Desk(funds=10_000, price_band=TENTH)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.do(stop("1-w", "carol", SELL, 2, 95))
    desk.do(buy("1-b", "bob", 1, 94))
    desk.do(buy("1-c", "bob", 5, 70))

    events = desk.do(sell("1-d", "alice", 1, 94))

    assert kinds(events) == [
        "OrderAccepted", "Trade", "OrderTriggered", "OrderCanceled", "AuctionStarted", "MarketChanged",
    ]  # fmt: skip
    assert events[3] == canceled("1-w", "carol", SELL, None, 2, 0, "insufficient_liquidity", (10_000, 0))
    assert desk.engine.next_timer() == TIME + 30_000_000


def test_the_reference_stays_where_it_was_while_a_command_goes_on() -> None:
    desk = Desk(funds=10_000, price_band=TENTH)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.do(stop("1-w", "carol", SELL, 1, 92))
    desk.do(buy("1-b", "bob", 1, 91))
    desk.do(buy("1-c", "bob", 1, 85))

    events = desk.do(sell("1-d", "alice", 1, 91))

    assert kinds(events)[2:] == ["OrderTriggered", "OrderCanceled", "AuctionStarted", "MarketChanged"]


def test_a_leg_that_trades_in_an_auction_cancels_the_other() -> None:
    desk = auction()
    desk.do(PlacePair(sell("1-a", "alice", 5, 110), stop("1-w", "alice", SELL, 5, 90)))

    indicated = desk.do(buy("1-b", "bob", 2, 110))
    ended = desk.change(status=OPEN)

    assert indicated[1:] == [IndicationChanged(SYMBOL, 110, 2, -3)]
    assert kinds(ended) == ["Trade", "OrderCanceled", "BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert ended[1] == canceled("1-w", "alice", SELL, None, 5, 0, "oco", (9994, 3))


def test_an_amend_in_an_auction_rests_without_matching_and_changes_what_the_auction_would_do() -> None:
    desk = auction()
    desk.do(sell("1-a", "alice", 5, 110))
    desk.do(buy("1-b", "bob", 2, 100))

    events = desk.do(AmendOrder("r", "bob", "1-b", None, 110 * LOT))

    assert events == [
        OrderAmended("1-b", "bob", SYMBOL, BUY, 100, 2, 110, 2, 2, 2, False, 9680, 220),
        IndicationChanged(SYMBOL, 110, 2, -3),
    ]


def test_an_auction_that_goes_on_uncrossing_takes_no_amend() -> None:
    desk = Desk("alice bob carol", funds=1_000_000)
    desk.change(status=AUCTION)
    for number in range(1001):
        desk.do(sell(f"1-a{number}", ("alice", "carol")[number % 2], 1, 100))
    for number in range(999):
        desk.do(buy(f"1-b{number}", "bob", 1, 100))
    desk.do(buy("1-last", "bob", 2, 100))
    desk.do(sell("1-high", "alice", 1, 200))
    assert kinds(desk.change(status=OPEN))[-3:] == ["Trade", "BookUncrossed", "MarketChanged"]

    refused = desk.do(AmendOrder("r", "alice", "1-high", None, 100 * LOT))

    assert kinds(refused) == ["CommandRefused"]
    assert kinds(desk.advance_to(TIME)) == ["Trade", "BookUncrossed", "AuctionEnded", "MarketChanged"]


def test_an_order_that_expires_in_an_auction_takes_no_part_in_it() -> None:
    desk = Desk(funds=10_000, price_band=TENTH, volatility_auction_ms=1000)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.do(sell("1-a", "alice", 1, 120))
    desk.do(PlaceOrder("1-m", "bob", "1-m", SYMBOL, BUY, OrderType.MARKET, 1, None, TimeInForce.IOC))
    desk.do(buy("1-b", "bob", 1, 120, TimeInForce.GTD, expire_time=TIME + 1_000_000))

    events = desk.advance_to(TIME + 1_000_000)

    assert kinds(events) == ["OrderCanceled", "AuctionEnded", "MarketChanged"]
    assert events[0] == canceled("1-b", "bob", BUY, 120, 1, 1, "expired", (9900, 0))


def test_the_trades_of_an_auction_count_among_those_that_a_command_may_make() -> None:
    desk = Desk("alice bob carol dave", funds=1_000_000)
    desk.do(sell("1-s", "dave", 1, 200))
    desk.do(buy("1-t", "carol", 1, 200))
    desk.do(stop("1-w", "dave", SELL, 1, 150))
    desk.do(buy("1-low", "carol", 1, 50))
    desk.change(status=AUCTION)
    for number in range(1000):
        desk.do(sell(f"1-a{number}", ("alice", "dave")[number % 2], 1, 100))
    for number in range(500):
        desk.do(buy(f"1-b{number}", "bob", 2, 100))

    ended = desk.change(status=OPEN)
    assert desk.engine.next_timer() == TIME
    following = desk.advance_to(TIME)

    assert kinds(ended) == ["Trade"] * 1000 + ["BookUncrossed", "AuctionEnded", "MarketChanged"]
    assert kinds(following) == ["OrderTriggered", "Trade"]
    trade = following[1]
    assert isinstance(trade, Trade)
    assert (trade.price_ticks, trade.is_auction) == (50, False)
