"""Orders and fills of one account from the tables, newest first; it finds no other account's."""

from typing import Any

from exchange.orders import OPEN_STATUSES, FillRecord, OrderRecord, OrderStatus
from exchange.stores.database import Readable
from exchange.stores.markets import Markets
from exchange.stores.rows import FILL_COLUMNS, FILL_SYMBOL, ORDER_COLUMNS, ORDER_SYMBOL, fill_from_row, order_from_row

_ORDERS = f"SELECT {ORDER_COLUMNS} FROM orders WHERE "  # noqa: S608 - a constant list
_FILLS = f"SELECT {FILL_COLUMNS} FROM fills WHERE "  # noqa: S608 - a constant list
MOST_OWN_FILLS = 1000
_OPEN = "(" + ", ".join(f"'{status}'" for status in OPEN_STATUSES) + ")"
STATUSES = ("open", "closed", *OrderStatus)
"""What a list of orders can be asked for."""


class Orders:
    """Reads orders and fills."""

    def __init__(self, database: Readable, markets: Markets):
        self._database = database
        self._markets = markets

    def by_id(self, account_id: str, order_id: str) -> OrderRecord | None:
        """Return one order of the account, None when it has none of this id."""
        return self._first(_ORDERS + "order_id = %s AND account_id = %s", order_id, account_id)

    def entered(self, account_id: str, order_id: str) -> tuple[OrderRecord, bytes, list[FillRecord]] | None:
        """Return an order of the account, the fingerprint of what was asked, and the fills of its own command."""
        statement = f"SELECT {ORDER_COLUMNS}, fingerprint FROM orders WHERE order_id = %s AND account_id = %s"  # noqa: S608
        found = self._database.rows(statement, order_id, account_id)
        if not found:
            return None
        order = self._order(found[0])
        cell = int(order_id.partition("-")[0])
        own = "cell = %s AND sequence = %s AND order_id = %s ORDER BY index LIMIT %s"
        rows = self._database.rows(_FILLS + own, cell, order.first_sequence, order_id, MOST_OWN_FILLS)
        fills = [fill_from_row(row, self._markets.existing(row[FILL_SYMBOL])) for row in rows]
        return order, bytes(found[0][-1]), fills

    def newest_of(self, account_id: str, order_ids: list[str], symbol: str | None) -> OrderRecord | None:
        """Return the newest of these orders of the account, of one market where `symbol` says so."""
        conditions: list[str] = ["order_id = ANY(%s)", "account_id = %s"]
        values: list[Any] = [order_ids, account_id]
        _add(conditions, values, "symbol = %s", symbol)
        return self._first(_ORDERS + " AND ".join(conditions) + " ORDER BY created_time DESC LIMIT 1", *values)

    def page(
        self, account_id: str, status: str | None, symbol: str | None, before: tuple[int | str, ...] | None, count: int
    ) -> list[OrderRecord]:
        """Return at most `count` orders before the place `before`: first sequence and id; a pair shares the former."""
        conditions: list[str] = ["account_id = %s"]
        values: list[Any] = [account_id]
        _add(conditions, values, "symbol = %s", symbol)
        _add(conditions, values, "(first_sequence, order_id) < %s", before)
        if status == "open":
            _add(conditions, values, f"status IN {_OPEN} AND cell = ANY(%s)", self._markets.cells())
        elif status == "closed":
            conditions.append(f"status NOT IN {_OPEN}")
        else:
            _add(conditions, values, "status = %s", status)
        statement = _ORDERS + " AND ".join(conditions) + " ORDER BY first_sequence DESC, order_id DESC LIMIT %s"
        return [self._order(row) for row in self._database.rows(statement, *values, count)]

    def fills(
        self,
        account_id: str,
        symbol: str | None,
        order_id: str | None,
        before: tuple[int | str, ...] | None,
        count: int,
    ) -> list[FillRecord]:
        """Return at most `count` fills before the place `before`: sequence, index and order id.

        In an auction an account may be on both sides of one trade.
        """
        conditions: list[str] = ["account_id = %s"]
        values: list[Any] = [account_id]
        _add(conditions, values, "symbol = %s", symbol)
        _add(conditions, values, "order_id = %s", order_id)
        _add(conditions, values, "(sequence, index, order_id) < %s", before)
        statement = _FILLS + " AND ".join(conditions) + " ORDER BY sequence DESC, index DESC, order_id DESC LIMIT %s"
        found = self._database.rows(statement, *values, count)
        return [fill_from_row(row, self._markets.existing(row[FILL_SYMBOL])) for row in found]

    def _first(self, statement: str, *values: Any) -> OrderRecord | None:
        found = self._database.rows(statement, *values)
        return self._order(found[0]) if found else None

    def _order(self, row: tuple[Any, ...]) -> OrderRecord:
        return order_from_row(row, self._markets.existing(row[ORDER_SYMBOL]))


def _add(conditions: list[str], values: list[Any], condition: str, value: Any) -> None:
    if value is not None:
        conditions.append(condition)
        values.append(value)
