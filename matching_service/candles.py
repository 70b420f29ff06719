"""Candles of one market from its trades, and what the ticker says of the last 24 hours; no clock of its own."""

from collections import deque

from msgspec import Struct

from exchange.markets import Market
from exchange.times import time_text

INTERVALS_S = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}
KEPT = 1500
"""How many candles of an interval are kept ready; 25 hours of minutes, so the ticker's day is among them."""
DAY_S = 86400


class Candle(Struct, gc=False):
    """Prices in ticks, volumes in lots and quote units, `start` in seconds since the epoch."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int

    def add(self, price_ticks: int, quantity_lots: int, quote: int) -> None:
        """Take one more trade."""
        self.high = max(self.high, price_ticks)
        self.low = min(self.low, price_ticks)
        self.close = price_ticks
        self.volume += quantity_lots
        self.quote_volume += quote
        self.trades += 1

    def followed_by(self, later: "Candle") -> "Candle":
        """Return one candle of these trades and then those of `later`."""
        return Candle(
            start=self.start,
            open=self.open,
            high=max(self.high, later.high),
            low=min(self.low, later.low),
            close=later.close,
            volume=self.volume + later.volume,
            quote_volume=self.quote_volume + later.quote_volume,
            trades=self.trades + later.trades,
        )

    def json(self, market: Market) -> str:
        """Return the candle's document."""
        price = market.price_text
        return (
            f'{{"start":"{time_text(self.start * 1_000_000)}","open":"{price(self.open)}","high":"{price(self.high)}",'
            f'"low":"{price(self.low)}","close":"{price(self.close)}","volume":"{market.quantity_text(self.volume)}",'
            f'"trades":{self.trades}}}'
        )


class Candles:
    """The newest candles of every interval, oldest first."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.kept: dict[str, deque[Candle]] = {interval: deque(maxlen=KEPT) for interval in INTERVALS_S}
        self.changed: set[tuple[str, int]] = set()

    def fill(self, interval: str, older: list[Candle]) -> None:
        """Put older candles, oldest first, under those that have come meanwhile."""
        merged = {candle.start: candle for candle in older}
        for candle in self.kept[interval]:
            begun = merged.get(candle.start)
            merged[candle.start] = begun.followed_by(candle) if begun else candle
        self.kept[interval] = deque((merged[start] for start in sorted(merged)), maxlen=KEPT)

    def add(self, time_us: int, price_ticks: int, quantity_lots: int, quote: int) -> None:
        """Take one trade, later than all before."""
        seconds = time_us // 1_000_000
        for interval, length_s in INTERVALS_S.items():
            start = seconds - seconds % length_s
            candles = self.kept[interval]
            if candles and candles[-1].start == start:
                candles[-1].add(price_ticks, quantity_lots, quote)
            else:
                candles.append(Candle(start, *(price_ticks,) * 4, quantity_lots, quote, 1))
            self.changed.add((interval, start))

    def take_changed(self) -> dict[str, list[tuple[int, str]]]:
        """Return start and document of every candle that changed since the last call, by interval."""
        changed: dict[str, list[tuple[int, str]]] = {}
        for interval, start in self.changed:
            newest_first = reversed(self.kept[interval])
            candle = next((candle for candle in newest_first if candle.start == start), None)
            if candle is not None:
                changed.setdefault(interval, []).append((start, candle.json(self.market)))
        self.changed.clear()
        return changed

    def all(self) -> dict[str, list[tuple[int, str]]]:
        """Return start and document of every candle kept, by interval."""
        return {
            interval: [(candle.start, candle.json(self.market)) for candle in candles]
            for interval, candles in self.kept.items()
        }

    def day(self, now_us: int) -> Candle | None:
        """Return the minutes of the last 24 hours as one candle, None where nothing traded."""
        since = now_us // 1_000_000 - DAY_S
        minutes = [candle for candle in self.kept["1m"] if candle.start > since]
        if not minutes:
            return None
        return Candle(
            start=minutes[0].start,
            open=minutes[0].open,
            high=max(candle.high for candle in minutes),
            low=min(candle.low for candle in minutes),
            close=minutes[-1].close,
            volume=sum(candle.volume for candle in minutes),
            quote_volume=sum(candle.quote_volume for candle in minutes),
            trades=sum(candle.trades for candle in minutes),
        )
