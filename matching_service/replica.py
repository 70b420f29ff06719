"""The state of a cell out of its tables, as of one sequence; it writes nothing."""

from msgspec import Struct
from psycopg2.extensions import connection as Connection

from exchange import commands
from exchange.commands import CreateApiKey
from exchange.markets import Asset, Market, MarketFigures
from exchange.orders import OPEN_STATUSES, OrderRecord
from exchange.stores.rows import (
    FIGURES_COLUMNS,
    MARKET_COLUMNS,
    MARKET_TABLES,
    ORDER_COLUMNS,
    ORDER_SYMBOL,
    figures_from_row,
    market_from_row,
    order_from_row,
    units_of,
)
from matching_service.accounts import Account, Balance, FeeVolume
from matching_service.database import rows
from matching_service.engine import Engine
from matching_service.journal import GENESIS
from matching_service.memory import MAX_RECENT_IDS, REQUEST_WINDOW_US
from matching_service.snapshot import Snapshot
from matching_service.state import PRIORITY_BITS, ListedAsset
from matching_service.state_hash import StateHash

JOURNAL_ROWS = 500
_OPEN = ", ".join(f"'{status}'" for status in OPEN_STATUSES)


class Loaded(Struct, frozen=True):
    """A state, the chain of the batch that made it, and its hash, which is to follow each batch from now on."""

    engine: Engine
    chain: bytes
    state_hash: StateHash


def load(connection: Connection, cell: int) -> Loaded:
    """Read everything in one repeatable-read snapshot; the state is that of the last committed batch.

    A million open orders take many seconds: call it in a thread of its own.
    """
    rows(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        last = rows(
            connection,
            "SELECT last_sequence, last_time, chain FROM journal WHERE cell = %s ORDER BY first_sequence DESC LIMIT 1",
            (cell,),
        )
        sequence, time, chain = last[0] if last else (0, 0, GENESIS)
        snapshot = _snapshot(connection, cell, sequence, time)
    finally:
        rows(connection, "ROLLBACK")
    engine = Engine.restore(snapshot)
    return Loaded(engine, bytes(chain), engine.state_hash())


def _snapshot(connection: Connection, cell: int, sequence: int, time: int) -> Snapshot:
    assets = rows(connection, "SELECT asset, decimals, created_sequence FROM assets WHERE cell = %s", (cell,))
    accounts = rows(
        connection,
        "SELECT account_id, name, status, created_sequence, dead_man_deadline FROM accounts WHERE cell = %s",
        (cell,),
    )
    found = _markets(connection, cell)
    markets = {market.symbol: market for market, _, _ in found}
    return Snapshot(
        cell=cell,
        sequence=sequence,
        time=time,
        assets=[ListedAsset(Asset(asset, decimals), created) for asset, decimals, created in assets],
        accounts=[Account(*values) for values in accounts],
        balances=_balances(connection, cell, {asset: decimals for asset, decimals, _ in assets}),
        markets=[(market, created) for market, created, _ in found],
        figures=[(market.symbol, figures) for market, _, figures in found],
        fee_volumes=_fee_volumes(connection, cell, markets),
        api_keys=_api_keys(connection, cell),
        orders=_open_orders(connection, cell, markets),
        recent_ids=_recent_ids(connection, cell),
        request_ids=_request_ids(connection, cell, time),
    )


def _markets(connection: Connection, cell: int) -> list[tuple[Market, int, MarketFigures]]:
    found = rows(
        connection,
        f"SELECT {MARKET_COLUMNS}, markets.created_sequence, {FIGURES_COLUMNS} FROM {MARKET_TABLES}"  # noqa: S608
        " WHERE markets.cell = %s",
        (cell,),
    )
    markets = [(market_from_row(values), values[MARKET_COLUMNS.count(",") + 1 :]) for values in found]
    return [(market, beyond[0], figures_from_row(beyond[1:], market)) for market, beyond in markets]


def _fee_volumes(connection: Connection, cell: int, markets: dict[str, Market]) -> list[FeeVolume]:
    found = rows(connection, "SELECT account_id, symbol, day, volume FROM fee_volumes WHERE cell = %s", (cell,))
    return [
        FeeVolume(account_id, symbol, day, units_of(volume, markets[symbol].quote_decimals))
        for account_id, symbol, day, volume in found
    ]


def _balances(connection: Connection, cell: int, decimals: dict[str, int]) -> list[Balance]:
    found = rows(connection, "SELECT account_id, asset, available, held FROM balances WHERE cell = %s", (cell,))
    return [
        Balance(account_id, asset, units_of(available, decimals[asset]), units_of(held, decimals[asset]))
        for account_id, asset, available, held in found
    ]


def _api_keys(connection: Connection, cell: int) -> list[tuple[CreateApiKey, int]]:
    found = rows(
        connection,
        "SELECT account_id, api_key, encrypted_secret, scopes, ip_allow_list, created_sequence"
        " FROM api_keys WHERE cell = %s AND NOT deleted",
        (cell,),
    )
    return [
        (CreateApiKey("", account_id, api_key, secret, tuple(scopes.split()), tuple(addresses.split())), created)
        for account_id, api_key, secret, scopes, addresses, created in found
    ]


def _open_orders(connection: Connection, cell: int, markets: dict[str, Market]) -> list[tuple[OrderRecord, int]]:
    """Return the open orders with their priorities; a build of schema 2 wrote the bare sequence for one."""
    found = rows(
        connection,
        f"SELECT {ORDER_COLUMNS}, CASE WHEN priority_sequence = first_sequence"  # noqa: S608 - constant lists
        f" THEN first_sequence << {PRIORITY_BITS} ELSE priority_sequence END"
        f" FROM orders WHERE cell = %s AND status IN ({_OPEN})",
        (cell,),
    )
    return [(order_from_row(values, markets[values[ORDER_SYMBOL]]), values[-1]) for values in found]


def _recent_ids(connection: Connection, cell: int) -> list[tuple[str, int]]:
    """Return the newest ids of orders and transfers, oldest first: the rule by which the engine remembers them.

    Of a pair, which has one sequence, the lesser id comes first.
    """
    newest = rows(
        connection,
        '(SELECT order_id COLLATE "C", first_sequence FROM orders WHERE cell = %s ORDER BY 2 DESC, 1 DESC LIMIT %s)'
        " UNION ALL (SELECT (kind || '/' || account_id || '/' || reference) COLLATE \"C\", sequence FROM transfers"
        " WHERE cell = %s ORDER BY sequence DESC LIMIT %s) ORDER BY 2 DESC, 1 DESC LIMIT %s",
        (cell, MAX_RECENT_IDS, cell, MAX_RECENT_IDS, MAX_RECENT_IDS),
    )
    return [(identifier, sequence) for identifier, sequence in reversed(newest)]


def _request_ids(connection: Connection, cell: int, time: int) -> list[tuple[str, int, int]]:
    """Return the ids of the requests of the last 120 s of engine time, oldest first, out of the journal's end."""
    since = time - REQUEST_WINDOW_US
    found: list[tuple[str, int, int]] = []
    before = 2**62
    while True:
        batches = rows(
            connection,
            "SELECT first_sequence, last_time, commands FROM journal WHERE cell = %s AND first_sequence < %s"
            " ORDER BY first_sequence DESC LIMIT %s",
            (cell, before, JOURNAL_ROWS),
        )
        for first_sequence, last_time, commands_json in batches:
            if last_time < since:
                return found[::-1]
            before = first_sequence
            found.extend(
                (request_id, entry.sequence, entry.time)
                for entry in reversed(commands.journaled_decoder.decode(commands_json))
                if (request_id := getattr(entry.command, "request_id", ""))
            )
        if len(batches) < JOURNAL_ROWS:
            return found[::-1]
