"""A level-only copy of one market's book, built from committed events alone; it never sees an order's owner."""

from bisect import bisect_left, insort
from zlib import crc32

from msgspec import Struct

from exchange.events import (
    BookUncrossed,
    Event,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderReplenished,
    OrderTriggered,
    SelfTradePrevented,
    Trade,
)
from exchange.markets import Market
from exchange.orders import SelfTradePrevention, Side

CHECKSUM_LEVELS = 10
DECREMENT = SelfTradePrevention.DECREMENT


class Level(Struct, gc=False):
    """Quantity and number of the orders at one price; `json` is kept until one of them changes."""

    price_text: str
    quantity_lots: int = 0
    orders: int = 0
    json: str = ""


class HalfBook:
    """The levels of one side; `keys` are prices signed so that the best is last."""

    def __init__(self, sign: int, market: Market) -> None:
        self.sign = sign
        self.market = market
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def change(self, price_ticks: int, quantity_lots: int, orders: int) -> None:
        """Add to one level (or take from it, where negative), and drop it once it is empty."""
        key = price_ticks * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(self.market.price_text(price_ticks))
            insort(self.keys, key)
        level.quantity_lots += quantity_lots
        level.orders += orders
        level.json = ""
        if not level.orders:
            assert level.quantity_lots == 0, (price_ticks, level.quantity_lots)
            del self.levels[key]
            del self.keys[bisect_left(self.keys, key)]

    def best(self, depth: int) -> list[Level]:
        """Return up to `depth` levels, best first."""
        return [self.levels[key] for key in reversed(self.keys[-depth:])]

    def json(self, depth: int) -> str:
        """Return `[price, quantity, orders]` of up to `depth` levels, best first, as JSON."""
        quantity_text = self.market.quantity_text
        parts = []
        for level in self.best(depth):
            if not level.json:
                level.json = f'["{level.price_text}","{quantity_text(level.quantity_lots)}",{level.orders}]'
            parts.append(level.json)
        return f"[{','.join(parts)}]"


class LevelBook:
    """Both halves of one market, as of the last event applied."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.halves = {Side.BUY: HalfBook(1, market), Side.SELL: HalfBook(-1, market)}

    def apply(self, event: Event) -> None:
        """Follow one event of this market; those that move no level are passed over."""
        if type(event) is OrderAccepted or type(event) is OrderTriggered:
            self._change(event.side, event.price_ticks, event.resting_lots, 1)
        elif type(event) is BookUncrossed:
            for side, levels in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
                for price_ticks, lots, orders in levels:
                    self.halves[side].change(price_ticks, -lots, -orders)
        elif type(event) is Trade and not event.is_auction:
            gone = -1 if event.maker_remaining_lots == 0 else 0
            self.halves[_other(event.taker_side)].change(event.price_ticks, -event.quantity_lots, gone)
        elif type(event) is OrderCanceled:
            self._change(event.side, event.price_ticks, -event.resting_lots, -1)
        elif type(event) is OrderAmended:
            self._change(event.side, event.old_price_ticks, -event.old_resting_lots, -1)
            self._change(event.side, event.price_ticks, event.resting_lots, 1)
        elif type(event) is OrderReplenished:
            self._change(event.side, event.price_ticks, event.displayed_lots, 0)
        elif type(event) is SelfTradePrevented:
            gone = -1 if event.mode is DECREMENT and event.maker_remaining_lots == 0 else 0
            self._change(_other(event.taker_side), event.price_ticks, -event.maker_resting_lots_removed, gone)

    def _change(self, side: Side, price_ticks: int | None, lots: int, orders: int) -> None:
        """Change a level by what an order shows; one that shows nothing stands at none."""
        if lots:
            assert price_ticks is not None
            self.halves[side].change(price_ticks, lots, orders)

    def add(self, side: Side, price_ticks: int, quantity_lots: int, orders: int) -> None:
        """Add resting orders, as when the copy is made of an engine."""
        self.halves[side].change(price_ticks, quantity_lots, orders)

    def best_prices(self) -> tuple[str | None, str | None]:
        """Return the best bid and the best ask as printed, None where a half is empty."""
        bids, asks = self.halves[Side.BUY].best(1), self.halves[Side.SELL].best(1)
        return (bids[0].price_text if bids else None, asks[0].price_text if asks else None)

    def checksum(self) -> int:
        """Return the CRC-32 of the best 10 asks, then the best 10 bids, each `price:quantity` as printed."""
        levels = self.halves[Side.SELL].best(CHECKSUM_LEVELS) + self.halves[Side.BUY].best(CHECKSUM_LEVELS)
        printed = "|".join(f"{level.price_text}:{self.market.quantity_text(level.quantity_lots)}" for level in levels)
        return crc32(printed.encode())

    def json(self, depth: int, sequence: int, time_text: str) -> str:
        """Return the body of `GET /v1/markets/{symbol}/book`."""
        return (
            f'{{"symbol":"{self.market.symbol}","sequence":{sequence},"time":"{time_text}","checksum":{self.checksum()},'
            f'"bids":{self.halves[Side.BUY].json(depth)},"asks":{self.halves[Side.SELL].json(depth)}}}'
        )


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
