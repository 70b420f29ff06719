"""Trades and candles of the past out of the tables, for the committed copy of a new leader; it writes nothing."""

import json
import time

from psycopg2.extensions import connection as Connection

from exchange.documents import public_trade_document
from exchange.markets import Market
from exchange.stores.rows import FILL_COLUMNS, fill_from_row, price_ticks, quantity_lots, units_of
from matching_service.candles import INTERVALS_S, KEPT, Candle
from matching_service.database import rows
from matching_service.projections import KEPT_TRADES


def last_trades(connection: Connection, market: Market, until_sequence: int) -> tuple[list[str], int | None]:
    """Return the documents of the newest trades, oldest first, and the last price in ticks."""
    found = rows(
        connection,
        f"SELECT {FILL_COLUMNS} FROM fills WHERE symbol = %s AND liquidity = 'taker' AND sequence <= %s"  # noqa: S608
        " ORDER BY sequence DESC, index DESC LIMIT %s",
        (market.symbol, until_sequence, KEPT_TRADES),
    )
    fills = [fill_from_row(values, market) for values in reversed(found)]
    documents = [json.dumps(public_trade_document(fill, market), separators=(",", ":")) for fill in fills]
    return documents, fills[-1].price_ticks if fills else None


def candles(connection: Connection, market: Market, interval: str, until_sequence: int) -> list[Candle]:
    """Return the newest candles of one interval, oldest first, as of a sequence."""
    length_s = INTERVALS_S[interval]
    since = (int(time.time()) - KEPT * length_s) * 1_000_000
    found = rows(
        connection,
        "SELECT time / 1000000 / %s * %s AS start, (array_agg(price ORDER BY sequence, index))[1], max(price),"
        " min(price), (array_agg(price ORDER BY sequence DESC, index DESC))[1], sum(quantity), sum(quote), count(*)"
        " FROM fills WHERE symbol = %s AND liquidity = 'taker' AND time >= %s AND sequence <= %s"
        " GROUP BY 1 ORDER BY 1",
        (length_s, length_s, market.symbol, since, until_sequence),
    )
    return [
        Candle(
            start=start,
            open=price_ticks(first, market) or 0,
            high=price_ticks(high, market) or 0,
            low=price_ticks(low, market) or 0,
            close=price_ticks(last, market) or 0,
            volume=quantity_lots(volume, market) or 0,
            quote_volume=units_of(quote_volume, market.quote_decimals),
            trades=count,
        )
        for start, first, high, low, last, volume, quote_volume, count in found
    ]
