"""The committed copy: levels, checksum, trades, candles and tickers of committed events."""

import json
import random
from collections import Counter
from zlib import crc32

import pytest

from exchange.commands import CancelOrder, ChangeMarket, Command, Journaled
from exchange.markets import MarketStatus
from exchange.orders import Side, TimeInForce
from matching_service import journal
from matching_service.candles import DAY_S, INTERVALS_S, KEPT, Candle, Candles
from matching_service.journal import GENESIS, Batch
from matching_service.levels import LevelBook
from matching_service.projections import KEPT_TRADES, MarketProjection, Projections
from matching_service.tables import RowWriter
from tests.engines import SYMBOL, TIME, Desk, buy, market, sell

MINUTE = 60_000_000


def batch_of(desk: Desk, *commands: Command, time: int = TIME) -> Batch:
    journaled, events = [], []
    for command in commands:
        if desk.engine.examine(command) is None:
            events.append(desk.engine.apply(command, time))
            journaled.append(Journaled(desk.engine.sequence, time, command))
    rows = RowWriter(desk.engine.market, desk.engine.asset).rows_of(journaled, events, desk.engine.take_changes())
    return journal.batch_of(1, 1, GENESIS, journaled, events, rows)


def projected(desk: Desk, *commands: Command) -> MarketProjection:
    projections = Projections(1, desk.engine.markets())
    projections.apply(batch_of(desk, *commands))
    projection = projections.by_symbol[SYMBOL]
    projection.fill([], None, {})
    return projection


def levels_of_engine(desk: Desk, side: Side) -> list[tuple[str, str, int]]:
    quantities: Counter[int] = Counter()
    orders: Counter[int] = Counter()
    for record in desk.engine.open_records():
        if record.placed.side is side:
            assert record.placed.price_ticks is not None and record.remaining_lots is not None
            quantities[record.placed.price_ticks] += record.remaining_lots
            orders[record.placed.price_ticks] += 1
    settings = desk.engine.market(SYMBOL)
    return [
        (settings.price_text(price), settings.quantity_text(quantities[price]), orders[price])
        for price in sorted(quantities, reverse=side is Side.BUY)
    ]


def test_the_levels_equal_those_of_the_engine_after_random_commands() -> None:
    chance = random.Random(11)
    desk = Desk()
    projections = Projections(1, desk.engine.markets())
    for number in range(3000):
        account = chance.choice(("alice", "bob", "carol"))
        command: Command
        if chance.random() < 0.4:
            command = CancelOrder(f"x-{number}", account, f"o-{chance.randrange(number + 1)}")
        else:
            make = chance.choice((buy, sell))
            tif = chance.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK))
            command = make(f"o-{number}", account, chance.randint(1, 9), 100 + chance.randint(-6, 6), tif)
        projections.apply(batch_of(desk, command))

        if number % 50 == 0:
            book = json.loads(projections.by_symbol[SYMBOL].book_json(1000))
            assert [tuple(level) for level in book["bids"]] == levels_of_engine(desk, Side.BUY)
            assert [tuple(level) for level in book["asks"]] == levels_of_engine(desk, Side.SELL)


def test_a_book_shows_no_more_levels_than_asked_for_and_the_best_first() -> None:
    book = LevelBook(market())
    for price in (101, 103, 102):
        book.add(Side.SELL, price, 5, 1)
        book.add(Side.BUY, price - 10, 5, 1)

    shown = json.loads(book.json(2, 7, "now"))

    assert [level[0] for level in shown["asks"]] == ["1.01", "1.02"]
    assert [level[0] for level in shown["bids"]] == ["0.93", "0.92"]


def test_the_checksum_covers_ten_asks_then_ten_bids_as_printed() -> None:
    book = LevelBook(market())
    for step in range(12):
        book.add(Side.SELL, 200 + step, 1 + step, 1)
        book.add(Side.BUY, 100 - step, 1 + step, 1)
    asks = [f"2.{step:02d}:0.{1 + step:02d}" for step in range(10)]
    bids = ["1.00:0.01"] + [f"0.{100 - step}:0.{1 + step:02d}" for step in range(1, 10)]

    assert book.checksum() == crc32("|".join(asks + bids).encode())


def test_the_ticker_tells_last_best_and_the_day() -> None:
    projection = projected(
        Desk(),
        sell("a", "alice", 5, 101),
        buy("b", "bob", 3, 101),
        sell("c", "alice", 5, 99),
        buy("d", "bob", 1, 99),
        buy("e", "bob", 2, 90),
    )

    ticker = json.loads(projection.ticker_json(TIME))

    assert ticker["last_price"] == "0.99"
    assert (ticker["best_bid"], ticker["best_ask"]) == ("0.90", "0.99")
    assert (ticker["open_24h"], ticker["high_24h"], ticker["low_24h"]) == ("1.01", "1.01", "0.99")
    assert (ticker["volume_24h"], ticker["quote_volume_24h"]) == ("0.04", "0.0402")


def test_a_market_without_trades_has_a_ticker_of_nulls_and_zeros() -> None:
    ticker = json.loads(projected(Desk(), buy("a", "alice", 5, 90)).ticker_json(TIME))

    assert (ticker["last_price"], ticker["open_24h"], ticker["best_ask"]) == (None, None, None)
    assert ticker["volume_24h"] == "0.00"


def test_the_ticker_of_a_market_in_auction_tells_what_it_would_do_until_it_is_over() -> None:
    desk = Desk()
    projections = Projections(1, desk.engine.markets())
    indicated = ("indicative_price", "indicative_quantity")

    def shown() -> list[str | None]:
        projection = projections.by_symbol[SYMBOL]
        projection.fill([], None, {})
        ticker = json.loads(projection.ticker_json(TIME))
        return [ticker[name] for name in indicated if name in ticker]

    assert shown() == []
    projections.apply(batch_of(desk, ChangeMarket("a", SYMBOL, status=MarketStatus.AUCTION)))
    assert shown() == [None, "0.00"]
    projections.apply(batch_of(desk, buy("bid", "alice", 5, 101), sell("ask", "bob", 3, 99)))
    assert shown()[1] == "0.03"
    projections.apply(batch_of(desk, ChangeMarket("b", SYMBOL, status=MarketStatus.OPEN)))
    assert shown() == []


def test_what_was_looked_at_is_still_written() -> None:
    desk = Desk()
    projections = Projections(1, desk.engine.markets())
    projections.apply(batch_of(desk, sell("a", "alice", 5, 101), buy("b", "bob", 3, 101)))
    projection = projections.by_symbol[SYMBOL]
    projection.fill([], None, {})

    looked_at = json.loads(projections.look("trades", SYMBOL, TIME) or "")
    written = projection.bodies(TIME, False, (50,)).trades

    assert [json.loads(trade) for trade in written] == looked_at
    assert projection.bodies(TIME, False, (50,)).trades == []


def test_older_trades_come_under_those_that_came_meanwhile() -> None:
    desk = Desk()
    projections = Projections(1, desk.engine.markets())
    projections.apply(batch_of(desk, sell("a", "alice", 5, 101), buy("b", "bob", 3, 101)))
    projection = projections.by_symbol[SYMBOL]

    projection.fill(['{"trade_id":"old"}'] * KEPT_TRADES, 90, {})

    assert len(projection.trades) == KEPT_TRADES
    assert '"price":"1.01"' in projection.trades[-1]
    assert projection.last_price == 101


def test_there_is_no_look_at_what_there_is_not() -> None:
    projections = Projections(1, Desk().engine.markets())

    assert projections.look("book", "NO-SUCH", TIME) is None
    assert projections.look("candles.7m", SYMBOL, TIME) is None


def test_a_candle_covers_its_interval_and_no_more() -> None:
    candles = Candles(market())
    start = TIME - TIME % (5 * MINUTE)
    for offset, price in ((0, 100), (MINUTE - 1, 90), (MINUTE, 110), (5 * MINUTE, 105)):
        candles.add(start + offset, price, 2, price * 2)

    minutes = [(c.open, c.high, c.low, c.close, c.volume, c.trades) for c in candles.kept["1m"]]
    fives = [(c.open, c.high, c.low, c.close, c.volume, c.trades) for c in candles.kept["5m"]]

    assert minutes == [(100, 100, 90, 90, 4, 2), (110, 110, 110, 110, 2, 1), (105, 105, 105, 105, 2, 1)]
    assert fives == [(100, 110, 90, 110, 6, 3), (105, 105, 105, 105, 2, 1)]


def test_a_candle_begun_before_and_gone_on_after_is_one() -> None:
    candles = Candles(market())
    start_s = TIME // MINUTE * 60
    candles.add(start_s * 1_000_000, 110, 2, 220)

    candles.fill("1m", [Candle(start_s - 60, 1, 1, 1, 1, 1, 1, 1), Candle(start_s, 100, 120, 90, 95, 7, 700, 3)])

    older, joined = candles.kept["1m"]
    assert older.start == start_s - 60
    assert (joined.open, joined.high, joined.low, joined.close, joined.volume, joined.trades) == (
        100, 120, 90, 110, 9, 4,
    )  # fmt: skip


def test_the_day_forgets_what_is_older_than_24_hours() -> None:
    candles = Candles(market())
    candles.add(TIME, 100, 2, 200)
    candles.add(TIME + DAY_S * 1_000_000 + MINUTE, 90, 3, 270)

    day = candles.day(TIME + DAY_S * 1_000_000 + MINUTE)

    assert day is not None and (day.open, day.high, day.volume) == (90, 90, 3)
    assert candles.day(TIME + 3 * DAY_S * 1_000_000) is None


@pytest.mark.parametrize("interval", INTERVALS_S)
def test_no_more_candles_are_kept_than_the_bound(interval: str) -> None:
    candles = Candles(market())

    for number in range(KEPT + 5):
        candles.add(TIME + number * INTERVALS_S[interval] * 1_000_000, 100, 1, 100)

    assert len(candles.kept[interval]) == KEPT
