"""Market data out of the tables, for what Redis does not hold; every answer is as of the last commit read."""

from decimal import Decimal
from typing import Any
from zlib import crc32

from exchange import amounts
from exchange.documents import Document, indication_members, public_trade_document
from exchange.markets import Market, MarketStatus
from exchange.orders import FillRecord, OrderStatus, Side
from exchange.stores.database import Database
from exchange.stores.rows import FILL_COLUMNS, fill_from_row, price_ticks, quantity_lots, units_of
from exchange.times import time_text

INTERVALS_S = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}
MICROSECONDS = 1_000_000
DAY_US = 86_400 * MICROSECONDS
CHECKSUM_LEVELS = 10
_TRADES = f"SELECT {FILL_COLUMNS} FROM fills WHERE symbol = %s AND liquidity = 'taker'"  # noqa: S608 - a constant list
_RESTING = f"('{OrderStatus.NEW}', '{OrderStatus.PARTIALLY_FILLED}')"
"""What is in the book; an order that waits for a price is open and not there."""


def trades(database: Database, market: Market, before: tuple[int, ...] | None, count: int) -> list[FillRecord]:
    """Return at most `count` takers' fills before the place `before` (sequence and index), newest first."""
    condition, values = (" AND (sequence, index) < (%s, %s)", before) if before else ("", ())
    statement = _TRADES + condition + " ORDER BY sequence DESC, index DESC LIMIT %s"
    return [fill_from_row(row, market) for row in database.rows(statement, market.symbol, *values, count)]


def trade_documents(fills: list[FillRecord], market: Market) -> list[Document]:
    """Print takers' fills as public trades."""
    return [public_trade_document(fill, market) for fill in fills]


def candles(
    database: Database, market: Market, interval: str, span: tuple[int, int], count: int
) -> list[tuple[int, Document]]:
    """Return at most `count` candles, newest first, whose start lies in `span`, each with its start.

    Starts are seconds since the epoch, both ends of the span included.
    """
    length_s = INTERVALS_S[interval]
    found = database.rows(
        "SELECT time / 1000000 / %s * %s AS start, (array_agg(price ORDER BY sequence, index))[1], max(price), "
        "min(price), (array_agg(price ORDER BY sequence DESC, index DESC))[1], sum(quantity), count(*) "
        "FROM fills WHERE symbol = %s AND liquidity = 'taker' AND time >= %s AND time < %s "
        "GROUP BY 1 ORDER BY 1 DESC LIMIT %s",
        length_s,
        length_s,
        market.symbol,
        -(-span[0] // length_s) * length_s * MICROSECONDS,
        (span[1] // length_s + 1) * length_s * MICROSECONDS,
        count,
    )
    return [(row[0], _candle(market, *row)) for row in found]


def ticker(database: Database, market: Market, now_us: int) -> Document:
    """Return the ticker."""
    sequence, time = _committed(database, market.cell)
    last = trades(database, market, None, 1)
    best_bid, best_ask = (_best(database, market, side) for side in Side)
    ((first, high, low, volume, quote_volume),) = database.rows(
        "SELECT (array_agg(price ORDER BY sequence, index))[1], max(price), min(price), "
        "coalesce(sum(quantity), 0), coalesce(sum(quote), 0) FROM fills "
        "WHERE symbol = %s AND liquidity = 'taker' AND time > %s",
        market.symbol,
        now_us - DAY_US,
    )
    return {
        "symbol": market.symbol,
        "last_price": market.price_text(last[0].price_ticks) if last else None,
        "best_bid": best_bid,
        "best_ask": best_ask,
        "open_24h": _price(market, first),
        "high_24h": _price(market, high),
        "low_24h": _price(market, low),
        "volume_24h": _quantity(market, volume),
        "quote_volume_24h": market.quote_text(units_of(quote_volume, market.quote_decimals)),
        "sequence": sequence,
        "time": time_text(time),
        **_indication(database, market),
    }


def book(database: Database, market: Market, depth: int) -> Document:
    """Return the book, at least its best 10 levels read for the checksum."""
    sequence, time = _committed(database, market.cell)
    bids, asks = (_levels(database, market, side, max(depth, CHECKSUM_LEVELS)) for side in Side)
    best = asks[:CHECKSUM_LEVELS] + bids[:CHECKSUM_LEVELS]
    return {
        "symbol": market.symbol,
        "sequence": sequence,
        "time": time_text(time),
        "checksum": crc32("|".join(f"{price}:{quantity}" for price, quantity, _ in best).encode()),
        "bids": bids[:depth],
        "asks": asks[:depth],
    }


def _committed(database: Database, cell: int) -> tuple[int, int]:
    """Return the last committed sequence of the cell and its time."""
    found = database.rows(
        "SELECT last_sequence, last_time FROM journal WHERE cell = %s ORDER BY first_sequence DESC LIMIT 1", cell
    )
    return (found[0][0], found[0][1]) if found else (0, 0)


def _levels(database: Database, market: Market, side: Side, depth: int) -> list[list[str | int]]:
    order = "DESC" if side is Side.BUY else "ASC"
    found = database.rows(
        "SELECT price, sum(coalesce(displayed_quantity, remaining_quantity)), count(*) FROM orders "  # noqa: S608 - constants
        f"WHERE status IN {_RESTING} "
        f"AND cell = %s AND symbol = %s AND side = %s GROUP BY price ORDER BY price {order} LIMIT %s",
        market.cell,
        market.symbol,
        side,
        depth,
    )
    return [[_price(market, price) or "", _quantity(market, quantity), orders] for price, quantity, orders in found]


def _indication(database: Database, market: Market) -> Document:
    """Return what the auction of the market would do now, nothing where there is none."""
    found = database.rows(
        "SELECT indicative_price, indicative_quantity FROM markets WHERE cell = %s AND symbol = %s AND status = %s",
        market.cell,
        market.symbol,
        MarketStatus.AUCTION,
    )
    if not found:
        return {}
    price, quantity = found[0]
    return indication_members(market, price_ticks(price, market), quantity_lots(quantity, market) or 0)


def _best(database: Database, market: Market, side: Side) -> str | None:
    best = _levels(database, market, side, 1)
    return str(best[0][0]) if best else None


def _candle(market: Market, start: int, *row: Any) -> Document:
    first, high, low, last, volume, count = row
    return {
        "start": time_text(start * MICROSECONDS),
        "open": _price(market, first),
        "high": _price(market, high),
        "low": _price(market, low),
        "close": _price(market, last),
        "volume": _quantity(market, volume),
        "trades": count,
    }


def _price(market: Market, value: Decimal | None) -> str | None:
    return None if value is None else amounts.text(units_of(value, market.price_decimals), market.price_decimals)


def _quantity(market: Market, value: Decimal) -> str:
    return amounts.text(units_of(value, market.quantity_decimals), market.quantity_decimals)
