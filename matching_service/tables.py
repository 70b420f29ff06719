"""A batch as rows of the tables, written as array literals of composite values for `commit_batch`; it runs no query.

Ready-made text is what makes a batch cheap: psycopg2 takes several times longer to adapt lists of values.
"""

import json
from collections.abc import Iterable

from msgspec import Struct

from exchange import amounts
from exchange.commands import Journaled, fingerprint
from exchange.events import Event, Trade, Transferred
from exchange.markets import RATE_DECIMALS, Market
from exchange.orders import Side
from matching_service.accounts import Account, Balance
from matching_service.book import Order
from matching_service.state import ApiKey, Changes, TransferEntry

Row = dict[str, str | int | bool | None]


class TableRows(Struct, frozen=True):
    """The rows of one batch: array literals of the types in 0002_commit_batch.sql, and JSON for what is rare."""

    entered_orders: str
    changed_orders: str
    trades: str
    balances: str
    administration: str | None


def rows_of(journaled: list[Journaled], batch_events: list[list[Event]], changes: Changes) -> TableRows:
    """Return every row that a batch writes beside the journal's."""
    first_sequence = journaled[0].sequence
    entered = [order for order in changes.orders if order.first_sequence >= first_sequence]
    changed = [order for order in changes.orders if order.first_sequence < first_sequence]
    return TableRows(
        entered_orders=_array(map(entered_row, entered)),
        changed_orders=_array(map(changed_row, changed)),
        trades=_array(_trade_rows(journaled, batch_events)),
        balances=_array(map(balance_row, changes.balances)),
        administration=_administration(journaled, batch_events, changes),
    )


def entered_row(order: Order) -> str:
    """Return the whole row of an order that this batch entered, as `new_order`."""
    placed = order.placed
    return (
        f"{placed.order_id},{placed.account_id},{placed.client_order_id},{placed.symbol},{placed.side},{placed.type},"
        f"{_or_null(placed.quantity_lots)},{_or_null(placed.quote_quantity)},{_or_null(placed.price_ticks)},"
        f"{_or_null(placed.stop_price_ticks)},{_or_null(placed.trailing_delta_ticks)},{placed.time_in_force},"
        f"{_or_null(placed.expire_time)},{placed.post_only},{_or_null(placed.display_lots)},"
        f"{placed.self_trade_prevention},{_or_null(placed.queue_deadline_ms)},{fingerprint(placed).hex()},"
        f"{order.status},{order.filled_lots},{_remaining(order)},{order.filled_quote},{_fees(order)},"
        f"{order.reason or ''},{order.first_sequence},{order.priority_sequence},{order.sequence},"
        f"{order.created_time},{order.updated_time}"
    )


def changed_row(order: Order) -> str:
    """Return what can change of an order that an earlier batch entered, as `changed_order`."""
    placed = order.placed
    return (
        f"{placed.order_id},{placed.symbol},{order.status},{order.filled_lots},{_remaining(order)},"
        f"{order.filled_quote},{_fees(order)},{order.reason or ''},{order.priority_sequence},"
        f"{order.sequence},{order.updated_time}"
    )


def balance_row(balance: Balance) -> str:
    """Return a balance as `changed_balance`."""
    return f"{balance.account_id},{balance.asset},{balance.available},{balance.held}"


def _or_null(number: int | None) -> str:
    return "" if number is None else str(number)


def _remaining(order: Order) -> str:
    return "" if order.placed.quantity_lots is None else str(order.remaining_lots)


def _fees(order: Order) -> str:
    """Return fee_base and fee_quote: a fee is charged in the asset received."""
    return f"{order.fee},0" if order.placed.side is Side.BUY else f"0,{order.fee}"


def _array(composites: Iterable[str]) -> str:
    """Join composites whose fields need no quoting: ids, enums and numbers, by the forms that the edge admits."""
    joined = ')","('.join(composites)
    return f'{{"({joined})"}}' if joined else "{}"


def _trade_rows(journaled: list[Journaled], batch_events: list[list[Event]]) -> Iterable[str]:
    for entry, events in zip(journaled, batch_events, strict=True):
        if len(events) < 2:
            continue
        for index, event in enumerate(events, 1):
            if type(event) is Trade:
                yield _trade_row(entry, index, event)


def _trade_row(entry: Journaled, index: int, trade: Trade) -> str:
    return (
        f"{entry.sequence},{index},{entry.time},{trade.symbol},{trade.taker_side},"
        f"{trade.maker_order_id},{trade.maker_account_id},{trade.taker_order_id},{trade.taker_account_id},"
        f"{trade.price_ticks},{trade.quantity_lots},{trade.quote},{trade.maker_fee},{trade.taker_fee},"
        f"{trade.maker_base_available + trade.maker_base_held},{trade.maker_quote_available + trade.maker_quote_held},"
        f"{trade.taker_base_available + trade.taker_base_held},{trade.taker_quote_available + trade.taker_quote_held},"
        f"{trade.fees_base_available},{trade.fees_quote_available}"
    )


def _administration(journaled: list[Journaled], batch_events: list[list[Event]], changes: Changes) -> str | None:
    if not (changes.assets or changes.accounts or changes.api_keys or changes.markets or changes.transfers):
        return None
    rows = {
        "assets": [
            {
                "asset": listed.asset.asset,
                "decimals": listed.asset.decimals,
                "created_sequence": listed.created_sequence,
            }
            for listed in changes.assets
        ],
        "accounts": [_account_row(account) for account in changes.accounts],
        "api_keys": [_api_key_row(api_key) for api_key in changes.api_keys],
        "markets": [market_row(live.settings, live.created_sequence) for live in changes.markets],
        "transfers": [_transfer_row(entry) for entry in changes.transfers],
        "transferred": [_transferred_row(*found) for found in _transferred(journaled, batch_events)],
    }
    return json.dumps(rows)


def _account_row(account: Account) -> Row:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "status": account.status,
        "created_sequence": account.created_sequence,
    }


def _api_key_row(api_key: ApiKey) -> Row:
    created = api_key.created
    return {
        "api_key": created.api_key,
        "account_id": created.account_id,
        "encrypted_secret": created.encrypted_secret,
        "scopes": " ".join(created.scopes),
        "ip_allow_list": " ".join(created.ip_allow_list),
        "deleted": api_key.deleted,
        "created_sequence": api_key.created_sequence,
    }


def _transfer_row(entry: TransferEntry) -> Row:
    return {
        "account_id": entry.transfer.account_id,
        "kind": entry.transfer.kind,
        "reference": entry.transfer.reference,
        "sequence": entry.sequence,
    }


def market_row(market: Market, created_sequence: int) -> Row:
    """Return a market as its row, every number as exact text."""
    band = market.price_band
    return {
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "status": market.status,
        "tick_size": amounts.trimmed(market.tick_size, amounts.MAX_DECIMALS),
        "lot_size": amounts.trimmed(market.lot_size, amounts.MAX_DECIMALS),
        "min_notional": market.quote_text(market.min_notional),
        "max_quantity": market.quantity_text(market.max_quantity),
        "maker_fee_rate": amounts.trimmed(market.maker_fee_rate, RATE_DECIMALS),
        "taker_fee_rate": amounts.trimmed(market.taker_fee_rate, RATE_DECIMALS),
        "price_band": None if band is None else amounts.trimmed(band, RATE_DECIMALS),
        "home_region": market.home_region,
        "created_sequence": created_sequence,
    }


def _transferred(
    journaled: list[Journaled], batch_events: list[list[Event]]
) -> Iterable[tuple[int, int, int, Transferred]]:
    for entry, events in zip(journaled, batch_events, strict=True):
        for index, event in enumerate(events, 1):
            if isinstance(event, Transferred):
                yield entry.sequence, index, entry.time, event


def _transferred_row(sequence: int, index: int, time: int, event: Transferred) -> Row:
    return {
        "sequence": sequence,
        "index": index,
        "time": time,
        "kind": event.kind,
        "account_id": event.account_id,
        "asset": event.asset,
        "amount": event.amount,
        "reference": event.reference,
        "total": event.available + event.held,
        "external_total": event.external_available,
    }
