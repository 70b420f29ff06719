"""What others may see of the markets: books by level, trades, candles and tickers of committed events, ready as JSON.

This is the second copy beside the engine's: it is never ahead of a commit and decides nothing.
"""

import json
from collections import deque
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from exchange.documents import indication_members, trade_document
from exchange.events import (
    AuctionEnded,
    AuctionStarted,
    Event,
    IndicationChanged,
    MarketChanged,
    MarketCreated,
    Trade,
)
from exchange.markets import Market, MarketStatus
from exchange.times import time_text
from matching_service.candles import Candle, Candles
from matching_service.engine import Engine
from matching_service.journal import Batch
from matching_service.levels import LevelBook

KEPT_TRADES = 1000
SHALLOW, DEEP = 50, 1000


class CommittedTrade(Struct, frozen=True, gc=False):
    """One trade and its place."""

    sequence: int
    index: int
    time: int
    trade: Trade


class Bodies(Struct, frozen=True):
    """What to write of one market: ready-made JSON, `trades` oldest first, candles by interval as (start, document).

    The ticker is empty and candles are left out until the past is known. `is_whole` says that trades and
    candles are all there are, not only those since the last time.
    """

    symbol: str
    sequence: int
    is_whole: bool
    books: dict[int, str]
    ticker: str
    trades: list[str]
    candles: dict[str, list[tuple[int, str]]]


class MarketProjection:
    """One market."""

    def __init__(self, market: Market, cell: int) -> None:
        self.market = market
        self.cell = cell
        self.levels = LevelBook(market)
        self.candles = Candles(market)
        self.trades: deque[str] = deque(maxlen=KEPT_TRADES)
        self.fresh: list[CommittedTrade] = []
        self.unwritten: deque[str] = deque(maxlen=KEPT_TRADES)
        self.last_price: int | None = None
        self.indication: IndicationChanged | None = None
        self.sequence = 0
        self.time = 0
        self.is_changed = True
        self.is_filled = False

    def digest(self) -> None:
        """Bring the trades that were only noted so far into candles and lists."""
        for found in self.fresh:
            trade = found.trade
            self.candles.add(found.time, trade.price_ticks, trade.quantity_lots, trade.quote)
            self.last_price = trade.price_ticks
            document = trade_document(self.cell, found.sequence, found.index, found.time, trade, self.market)
            printed = json.dumps(document, separators=(",", ":"))
            self.trades.append(printed)
            self.unwritten.append(printed)
        self.fresh.clear()

    def fill(self, trades: list[str], last_price: int | None, older: dict[str, list[Candle]]) -> None:
        """Put what was before this copy began under what it has followed since; it is whole from now on."""
        self.digest()
        self.trades = deque([*trades, *self.trades], maxlen=KEPT_TRADES)
        self.last_price = self.last_price if self.last_price is not None else last_price
        for interval, candles in older.items():
            self.candles.fill(interval, candles)
        self.is_filled = True

    def follow_auction(self, event: Event) -> None:
        """Keep what an auction would do now, from its beginning to its end."""
        if type(event) is AuctionStarted:
            self.indication = IndicationChanged(event.symbol, None, 0, 0)
        elif type(event) is IndicationChanged:
            self.indication = event
        elif type(event) is AuctionEnded:
            self.indication = None

    def book_json(self, depth: int) -> str:
        """Return the body of the book."""
        return self.levels.json(depth, self.sequence, time_text(self.time))

    def ticker_json(self, now_us: int) -> str:
        """Return the body of the ticker; prices are null before the first trade or without a quote.

        Only that of a market in auction says what the auction would do now.
        """
        market, day = self.market, self.candles.day(now_us)
        bid, ask = self.levels.best_prices()
        last = None if self.last_price is None else market.price_text(self.last_price)
        prices = [None] * 3 if day is None else [market.price_text(ticks) for ticks in (day.open, day.high, day.low)]
        document = {
            "symbol": market.symbol,
            "last_price": last,
            "best_bid": bid,
            "best_ask": ask,
            "open_24h": prices[0],
            "high_24h": prices[1],
            "low_24h": prices[2],
            "volume_24h": market.quantity_text(day.volume if day else 0),
            "quote_volume_24h": market.quote_text(day.quote_volume if day else 0),
            "sequence": self.sequence,
            "time": time_text(self.time),
        }
        if self.indication is not None and market.status is MarketStatus.AUCTION:
            document |= indication_members(market, self.indication.price_ticks, self.indication.quantity_lots)
        return json.dumps(document, separators=(",", ":"))

    def bodies(self, now_us: int, is_whole: bool, depths: Iterable[int]) -> Bodies:
        """Return what is to be written now, and begin anew to collect."""
        assert self.is_filled or not is_whole
        self.digest()
        unwritten = list(self.unwritten)
        self.unwritten.clear()
        self.is_changed = False
        candles = {}
        if self.is_filled:
            changed = self.candles.take_changed()
            candles = self.candles.all() if is_whole else changed
        return Bodies(
            symbol=self.market.symbol,
            sequence=self.sequence,
            is_whole=is_whole,
            books={depth: self.book_json(depth) for depth in depths},
            ticker=self.ticker_json(now_us) if self.is_filled else "",
            trades=list(self.trades) if is_whole else unwritten,
            candles=candles,
        )


class Projections:
    """Every market of a cell."""

    def __init__(self, cell: int, markets: Iterable[Market]) -> None:
        self.cell = cell
        self.by_symbol = {market.symbol: MarketProjection(market, cell) for market in markets}

    @classmethod
    def restored(cls, engine: Engine) -> "Projections":
        """Return what is to be seen of an engine as it is, but for its past: trades and candles.

        A million orders take some tenths of a second: call it beside the event loop.
        """
        made = cls(engine.cell, engine.markets())
        for symbol, side, price_ticks, lots, orders in engine.levels():
            made.by_symbol[symbol].levels.add(side, price_ticks, lots, orders)
        for indication in engine.indications():
            made.by_symbol[indication.symbol].follow_auction(indication)
        for market in made.by_symbol.values():
            market.sequence, market.time = engine.sequence, engine.time
        return made

    def apply(self, batch: Batch) -> None:
        """Follow one committed batch."""
        by_symbol = self.by_symbol
        for entry, events in zip(batch.journaled, batch.events, strict=True):
            for index, event in enumerate(events, 1):
                if isinstance(event, MarketCreated):
                    created = by_symbol[event.market.symbol] = MarketProjection(event.market, self.cell)
                    created.is_filled = True
                    created.sequence, created.time = entry.sequence, entry.time
                    continue
                if isinstance(event, MarketChanged):
                    projection = by_symbol[event.market.symbol]
                    projection.market = event.market
                elif (found := by_symbol.get(getattr(event, "symbol", ""))) is None:
                    continue
                else:
                    projection = found
                    projection.levels.apply(event)
                    projection.follow_auction(event)
                if type(event) is Trade:
                    projection.fresh.append(CommittedTrade(entry.sequence, index, entry.time, event))
                projection.sequence = entry.sequence
                projection.time = entry.time
                projection.is_changed = True

    def look(self, what: str, symbol: str, now_us: int) -> str | None:
        """Return a market's book, ticker, trades or candles.{interval} as JSON, None for what there is not."""
        projection = self.by_symbol.get(symbol)
        if projection is None:
            return None
        projection.digest()
        if what == "book":
            return projection.book_json(DEEP)
        if what == "ticker":
            return projection.ticker_json(now_us)
        if what == "trades":
            return f"[{','.join(islice(reversed(projection.trades), KEPT_TRADES))}]"
        kept = projection.candles.kept.get(what.removeprefix("candles."))
        if kept is None:
            return None
        return f"[{','.join(candle.json(projection.market) for candle in reversed(kept))}]"
