"""The journal into the stream `executions`: at least once, in order, from a durable position; it never reads memory.

It runs as a process of its own beside the leader, so that its work never delays an acknowledgement.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from psycopg2.extensions import connection as Connection

from exchange import stream
from exchange.amounts import text
from exchange.commands import Command, Journaled, PlacePair
from exchange.documents import Document, order_document, trade_document
from exchange.events import Event, SelfTradePrevented, Trade
from exchange.markets import Market
from exchange.orders import Side
from exchange.stores.rows import (
    MARKET_COLUMNS,
    MARKET_TABLES,
    ORDER_COLUMNS,
    ORDER_SYMBOL,
    market_from_row,
    order_from_row,
)
from exchange.stream import StreamEntry, StreamRecord
from matching_service import journal
from matching_service.database import rows
from matching_service.failpoints import NONE, Failpoints
from matching_service.journal import JournalRow

POSITION = "executions"
DOCUMENTS_FROM = "executions_documents_from"
TIMELINE = "timeline"
ROWS_A_TURN = 400
MOST_RECORDS, MOST_BYTES = 500, 4_000_000
PACE_S = 0.25
"""Between turns that found less than they may take: a call costs the same for one record as for a hundred."""
PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long a turn waits after each refusal before it puts what was refused again."""
LONGEST_PAUSE_S = 5.0

logger = logging.getLogger(__name__)


class Kinesis(Protocol):
    """What is used of the client of the stream."""

    def put_records(self, *, StreamName: str, Records: list[Any]) -> Any:  # noqa: N803 - as AWS spells it
        """Put up to 500 records; the answer tells which failed."""


def position(connection: Connection, cell: int, name: str) -> int:
    """Return how far a reader has come, 0 at the beginning."""
    found = rows(connection, "SELECT position FROM positions WHERE cell = %s AND name = %s", (cell, name))
    return int(found[0][0]) if found else 0


def timeline(connection: Connection, cell: int) -> int:
    """Return which history of the cell the journal tells: 1 until a restore that lost some of it began the next."""
    return max(position(connection, cell, TIMELINE), 1)


def set_position(connection: Connection, cell: int, name: str, sequence: int) -> None:
    """Write a position down."""
    rows(
        connection,
        "INSERT INTO positions VALUES (%s, %s, %s) ON CONFLICT (cell, name) DO UPDATE SET position = excluded.position",
        (cell, name, str(sequence)),
    )


def publish_again(connection: Connection, cell: int, documents: int) -> None:
    """Let the whole journal be published again; only its newest `documents` orders come with documents for search."""
    found = rows(
        connection,
        "SELECT first_sequence FROM orders WHERE cell = %s ORDER BY first_sequence DESC OFFSET %s LIMIT 1",
        (cell, documents),
    )
    set_position(connection, cell, DOCUMENTS_FROM, found[0][0] if found else 0)
    set_position(connection, cell, POSITION, 0)


class Publisher:
    """One cell's publisher."""

    def __init__(
        self, connection: Connection, kinesis: Kinesis, stream_name: str, cell: int, failpoints: Failpoints = NONE
    ) -> None:
        self.connection = connection
        self.kinesis = kinesis
        self.stream_name = stream_name
        self.cell = cell
        self.markets: dict[str, Market] = {}
        self._put = failpoints.around("kinesis", put)
        self.documents_from = position(connection, cell, DOCUMENTS_FROM)
        self.timeline = timeline(connection, cell)

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Publish until `goes_on` says no; what fails is tried again, later and later."""
        pause = PAUSES_S[0]
        while goes_on():
            published = self.turn()
            if published is None:
                logger.warning("the stream does not take records", extra={"pause_s": pause})
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            pause = PAUSES_S[0]
            if published < ROWS_A_TURN:
                time.sleep(PACE_S)

    def turn(self) -> int | None:
        """Publish what follows the position and move it; return how many batches, None when the stream failed."""
        found = journal.rows_after(
            self.connection, self.cell, position(self.connection, self.cell, POSITION), ROWS_A_TURN
        )
        if not found:
            return 0
        records = [
            {"Data": payload, "PartitionKey": stream.partition_key(record)}
            for record in self.records_of(found)
            for payload in stream.payloads(record)
        ]
        for chunk in chunks(records):
            if not self._put(self.kinesis, self.stream_name, chunk, PAUSES_S):
                return None
        set_position(self.connection, self.cell, POSITION, found[-1].last_sequence)
        return len(found)

    def records_of(self, batches: list[JournalRow]) -> Iterator[StreamRecord]:
        """Return the records of journal rows: one for each key that a batch touched."""
        decoded = [(row, row.journaled(), row.events()) for row in batches]
        orders = self._orders({key for _, _, events in decoded for key in _order_ids(events)})
        for row, journaled, events in decoded:
            begin = bisect_left(orders, row.first_sequence, key=_sequence)
            end = bisect_left(orders, row.last_sequence + 1, key=_sequence)
            for key, entries in entries_by_key(journaled, events).items():
                yield StreamRecord(
                    timeline=self.timeline,
                    cell=self.cell,
                    epoch=row.epoch,
                    batch_id=row.batch_id,
                    key=key,
                    first_sequence=row.first_sequence,
                    last_sequence=row.last_sequence,
                    chain=row.chain.hex(),
                    entries=entries,
                    orders=[document for _, document in orders[begin:end] if document["symbol"] == key],
                    trades=list(self._trades(key, journaled, events)),
                )

    def _orders(self, order_ids: set[str]) -> list[tuple[int, Document]]:
        """Return sequence and document of those orders that are indexed, as they are now, by sequence."""
        if not order_ids:
            return []
        found = rows(
            self.connection,
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE order_id = ANY(%s) AND first_sequence >= %s",  # noqa: S608
            (list(order_ids), self.documents_from),
        )
        orders = [order_from_row(row, self._market(row[ORDER_SYMBOL])) for row in found]
        documents = [(order.sequence, order_document(order, self._market(order.placed.symbol))) for order in orders]
        return sorted(documents, key=_sequence)

    def _trades(self, key: str, journaled: list[Journaled], events: list[list[Event]]) -> Iterator[Document]:
        for entry, happened in zip(journaled, events, strict=True):
            for index, event in enumerate(happened, 1):
                if isinstance(event, Trade) and event.symbol == key and entry.sequence >= self.documents_from:
                    market = self._market(key)
                    public = trade_document(self.cell, entry.sequence, index, entry.time, event, market)
                    yield public | _parties(event, market) | {"cell": self.cell, "index": index}

    def _market(self, symbol: str) -> Market:
        if symbol not in self.markets:
            found = rows(
                self.connection,
                f"SELECT {MARKET_COLUMNS} FROM {MARKET_TABLES} WHERE markets.symbol = %s",  # noqa: S608
                (symbol,),
            )
            self.markets[symbol] = market_from_row(found[0])
        return self.markets[symbol]


def put(kinesis: Kinesis, stream_name: str, records: list[dict[str, Any]], pauses_s: Sequence[float]) -> bool:
    """Put records, those that were refused again and in order after each pause; False when some still are."""
    for pause_s in pauses_s:
        answer = kinesis.put_records(StreamName=stream_name, Records=records)
        if not answer["FailedRecordCount"]:
            return True
        records = [record for record, result in zip(records, answer["Records"], strict=True) if result.get("ErrorCode")]
        time.sleep(pause_s)
    return False


def entries_by_key(journaled: list[Journaled], events: list[list[Event]]) -> dict[str, list[StreamEntry]]:
    """Group a batch by symbol (or account, or system); a command goes with its first event's key."""
    grouped: dict[str, list[StreamEntry]] = {}
    for entry, happened in zip(journaled, events, strict=True):
        by_key: dict[str, list[tuple[int, Event]]] = {}
        for index, event in enumerate(happened, 1):
            by_key.setdefault(key_of_event(event, entry.command), []).append((index, event))
        command: Command | None = entry.command
        for key, found in (by_key or {key_of_command(entry.command): []}).items():
            made = stream.entry_of(entry.sequence, entry.time, command, found, entry.poisoned, entry.trace)
            grouped.setdefault(key, []).append(made)
            command = None
    return grouped


def key_of_event(event: Event, command: Command) -> str:
    """Return the key under which an event is published."""
    market = getattr(event, "market", None)
    symbol = getattr(event, "symbol", None) or (market.symbol if market else None)
    account_id = getattr(event, "account_id", None)
    if symbol:
        return str(symbol)
    return stream.account_key(account_id) if account_id else key_of_command(command)


def key_of_command(command: Command) -> str:
    """Return the key under which a command without events is published."""
    if isinstance(command, PlacePair):
        command = command.first
    symbol, account_id = getattr(command, "symbol", None), getattr(command, "account_id", None)
    if symbol:
        return str(symbol)
    return stream.account_key(account_id) if account_id else stream.SYSTEM_KEY


def chunks(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Split records into calls of at most 500 records and 4 MB, in order."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = len(record["Data"]) + len(record["PartitionKey"])
        if chunk and (len(chunk) == MOST_RECORDS or size + length > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += length
    if chunk:
        yield chunk


def _sequence(order: tuple[int, Document]) -> int:
    return order[0]


def _order_ids(events: list[list[Event]]) -> Iterable[str]:
    for happened in events:
        for event in happened:
            if isinstance(event, Trade | SelfTradePrevented):
                yield event.maker_order_id
                yield event.taker_order_id
            elif order_id := getattr(event, "order_id", None):
                yield order_id


def _parties(trade: Trade, market: Market) -> Document:
    base, quote = market.base_decimals, market.quote_decimals
    taker, maker = (base, quote) if trade.taker_side is Side.BUY else (quote, base)
    return {
        "quote": market.quote_text(trade.quote),
        "maker_order_id": trade.maker_order_id,
        "taker_order_id": trade.taker_order_id,
        "maker_account_id": trade.maker_account_id,
        "taker_account_id": trade.taker_account_id,
        "maker_fee": text(trade.maker_fee, taker if trade.maker_fee < 0 else maker),
        "taker_fee": text(trade.taker_fee, taker),
    }
