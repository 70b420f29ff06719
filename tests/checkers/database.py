"""The invariants that the database alone can show, read in one snapshot of it: I3, I5 and I6."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from exchange.documents import Document, fill_document, order_document
from exchange.markets import Market
from exchange.orders import FillRecord
from exchange.stores.rows import (
    FILL_COLUMNS,
    FILL_SYMBOL,
    MARKET_COLUMNS,
    MARKET_TABLES,
    ORDER_COLUMNS,
    ORDER_SYMBOL,
    fill_from_row,
    market_from_row,
    order_from_row,
)
from tests.checkers.books import book_problems
from tests.checkers.journal import JournalRow, journal_problems
from tests.checkers.money import BalanceRow, LedgerLine, OpenOrder, hold_problems, ledger_problems

FILL_LIQUIDITY = FILL_COLUMNS.split(", ").index("liquidity")
"""As it is stored: which of its two fills a trade counts by; in an auction both took."""


def check_all(dsn: str) -> list[str]:
    """Return every violation that the database shows, an empty list when there is none."""
    with snapshot(dsn) as connection:
        found: list[str] = []
        for cell in cells(connection):
            balances, orders = list(_balances(connection, cell)), list(_open_orders(connection, cell))
            found += journal_problems(journal_rows(connection, cell), _fence(connection, cell))
            found += ledger_problems(_ledger(connection, cell), balances)
            found += hold_problems(balances, orders)
            found += book_problems(orders, _collecting(connection, cell))
        return found


@contextmanager
def snapshot(dsn: str) -> Iterator[Connection]:
    """Open a connection that sees one moment of the database."""
    # A server with the settings of the exchange would end a transaction in which we think for a second.
    connection = psycopg2.connect(dsn, options="-c idle_in_transaction_session_timeout=10min")
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield connection
    finally:
        connection.close()


def cells(connection: Connection) -> list[int]:
    """Return the cells of the database."""
    return [cell for (cell,) in _rows(connection, "SELECT cell FROM fence ORDER BY cell")]


def journal_rows(connection: Connection, cell: int) -> Iterator[JournalRow]:
    """Return the journal of a cell in order."""
    columns = (
        "cell, first_sequence, last_sequence, batch_id::text, epoch, last_time, commands, events, chain, state_hash"
    )
    query = f"SELECT {columns} FROM journal WHERE cell = %s ORDER BY first_sequence"
    for row in _rows(connection, query, cell):
        full_hash = None if row[-1] is None else bytes(row[-1])
        yield replace(JournalRow(*row), chain=bytes(row[-2]), state_hash=full_hash)


def order_documents(connection: Connection) -> dict[str, Document]:
    """Return the document of every order, by id."""
    markets = _markets(connection)
    found: dict[str, Document] = {}
    for row in _rows(connection, f"SELECT {ORDER_COLUMNS} FROM orders"):
        market = markets[row[ORDER_SYMBOL]]
        found[row[0]] = order_document(order_from_row(row, market), market)
    return found


def trade_documents(connection: Connection) -> dict[str, Document]:
    """Return the document of every trade, by id, put together from its two fills."""
    markets = _markets(connection)
    sides: dict[str, dict[str, FillRecord]] = defaultdict(dict)
    for row in _rows(connection, f"SELECT {FILL_COLUMNS} FROM fills"):
        fill = fill_from_row(row, markets[row[FILL_SYMBOL]])
        sides[fill.trade_id][row[FILL_LIQUIDITY]] = fill
    return {
        trade_id: _trade_document(both["maker"], both["taker"], markets[both["taker"].symbol])
        for trade_id, both in sides.items()
    }


def _trade_document(maker: FillRecord, taker: FillRecord, market: Market) -> Document:
    printed = fill_document(taker, market)
    return {
        name: printed[name] for name in ("trade_id", "symbol", "price", "quantity", "quote", "sequence", "time")
    } | {
        "taker_side": taker.side,
        "maker_order_id": maker.order_id,
        "taker_order_id": taker.order_id,
        "maker_account_id": maker.account_id,
        "taker_account_id": taker.account_id,
        "maker_fee": fill_document(maker, market)["fee"],
        "taker_fee": printed["fee"],
        "cell": taker.cell,
        "index": taker.index,
    }


def _rows(connection: Connection, statement: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
    """Stream the rows of one statement through a cursor of the server."""
    with connection.cursor(f"checker_{uuid.uuid4().hex}") as cursor:
        cursor.itersize = 10_000
        cursor.execute(statement, parameters)
        yield from cursor


def _markets(connection: Connection) -> dict[str, Market]:
    found = _rows(connection, f"SELECT {MARKET_COLUMNS} FROM {MARKET_TABLES}")
    return {row[0]: market_from_row(row) for row in found}


def _fence(connection: Connection, cell: int) -> tuple[int, int]:
    ((epoch, last_sequence),) = _rows(connection, "SELECT epoch, last_sequence FROM fence WHERE cell = %s", cell)
    return epoch, last_sequence


def _ledger(connection: Connection, cell: int) -> Iterator[LedgerLine]:
    columns = "sequence, index, line, account_id, asset, amount, balance_after"
    for sequence, index, line, *rest in _rows(connection, f"SELECT {columns} FROM ledger WHERE cell = %s", cell):
        yield LedgerLine((cell, sequence, index, line), *rest)


def _balances(connection: Connection, cell: int) -> Iterator[BalanceRow]:
    query = "SELECT account_id, asset, available, held FROM balances WHERE cell = %s"
    return (BalanceRow(*row) for row in _rows(connection, query, cell))


def _open_orders(connection: Connection, cell: int) -> Iterator[OpenOrder]:
    query = """
        SELECT o.order_id, o.account_id, o.symbol, m.base, m.quote, o.side, o.status, o.price, o.remaining_quantity,
               o.partner_id
        FROM orders o JOIN markets m USING (cell, symbol)
        WHERE o.cell = %s AND o.status IN ('new', 'partially_filled', 'pending_trigger')
    """
    return (OpenOrder(*row) for row in _rows(connection, query, cell))


def _collecting(connection: Connection, cell: int) -> frozenset[str]:
    """Return the markets that do not match: an auction, halted or closed before it ended, leaves its orders crossed."""
    query = "SELECT symbol FROM markets WHERE cell = %s AND status <> 'open'"
    return frozenset(row[0] for row in _rows(connection, query, cell))
