"""An account, its balances and its ledger from the tables, as documents; it computes no balance."""

from exchange import amounts
from exchange.documents import rates_document
from exchange.markets import Asset
from exchange.stores.database import Database
from exchange.stores.markets import Markets
from exchange.stores.rows import Row, units_of
from exchange.times import time_text

Document = dict[str, str | None]

TIER_DAYS = 30
"""A tier is reached by what was traded on so many days before today."""


def account_status(database: Database, cell: int, account_id: str) -> str | None:
    """Return the status of an account, None when there is none."""
    found = database.rows("SELECT status FROM accounts WHERE cell = %s AND account_id = %s", cell, account_id)
    return found[0][0] if found else None


def balances(database: Database, cell: int, account_id: str) -> list[Document]:
    """Return the balances of an account, by asset."""
    found = database.rows(
        "SELECT balances.asset, available, held, decimals FROM balances JOIN assets "
        "ON assets.cell = balances.cell AND assets.asset = balances.asset "
        "WHERE balances.cell = %s AND account_id = %s ORDER BY balances.asset",
        cell,
        account_id,
    )
    documents: list[Document] = []
    for asset, available, held, decimals in found:
        free, bound = units_of(available, decimals), units_of(held, decimals)
        documents.append(
            {
                "asset": asset,
                "available": amounts.text(free, decimals),
                "held": amounts.text(bound, decimals),
                "total": amounts.text(free + bound, decimals),
            }
        )
    return documents


def tier_rates(database: Database, markets: Markets, cell: int, account_id: str) -> list[Document]:
    """Return the account's rates where its volume reached a tier, by symbol; elsewhere it pays the market's."""
    found = database.rows(
        "SELECT symbol, sum(volume) FROM fee_volumes JOIN markets USING (cell, symbol) "
        "WHERE cell = %s AND account_id = %s AND day < fee_day AND day >= fee_day - %s GROUP BY symbol ORDER BY symbol",
        cell,
        account_id,
        TIER_DAYS,
    )
    documents: list[Document] = []
    for symbol, volume in found:
        market = markets.current(symbol)
        tier = market and market.fee_tier(units_of(volume, market.quote_decimals))
        if tier:
            documents.append({"symbol": symbol, **rates_document(tier)})
    return documents


def ledger(
    database: Database, account_id: str, asset: Asset | None, before: tuple[int, ...] | None, count: int
) -> list[tuple[tuple[int, int, int, int], Document]]:
    """Return at most `count` entries before the place `before`, newest first, each with its place.

    A place is sequence, index, line and cell.
    """
    conditions = ["account_id = %s"]
    values: list[str | int] = [account_id]
    if asset is not None:
        conditions.append("ledger.asset = %s")
        values.append(asset.asset)
    if before is not None:
        conditions.append("(sequence, index, line, ledger.cell) < (%s, %s, %s, %s)")
        values.extend(before)
    found = database.rows(
        "SELECT ledger.cell, sequence, index, line, ledger.asset, amount, kind, reference, balance_after, time, "
        "decimals "
        "FROM ledger JOIN assets ON assets.cell = ledger.cell AND assets.asset = ledger.asset WHERE "
        + " AND ".join(conditions)
        + " ORDER BY sequence DESC, index DESC, line DESC, ledger.cell DESC LIMIT %s",
        *values,
        count,
    )
    return [((row[1], row[2], row[3], row[0]), _entry(row)) for row in found]


def _entry(row: Row) -> Document:
    cell, sequence, index, line, asset, amount, kind, reference, balance_after, time, decimals = row
    return {
        "entry_id": f"{cell}-{sequence}-{index}-{line}",
        "asset": asset,
        "amount": amounts.text(units_of(amount, decimals), decimals),
        "kind": kind,
        "reference": reference,
        "balance_after": amounts.text(units_of(balance_after, decimals), decimals),
        "time": time_text(time),
    }
