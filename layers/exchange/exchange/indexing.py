"""Indexing: documents of stream records brought into the search index; it never reads the index to decide.

A document's `_id` is its order's or trade's id, its version grows with timeline and sequence, so that a document
delivered twice or late changes nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from msgspec.json import Encoder
from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from exchange.deliveries import Delivery
from exchange.search import ORDERS, TRADES, Document, install_templates
from exchange.stream import StreamRecord
from exchange.times import parse_time, time_text

TIMELINE_BITS = 48
MAX_BULK_BYTES = 5_000_000
MAX_BULK_ITEMS = 500
RETRY_PAUSES_S = (0.2, 0.5)
_MONTH = slice(0, len("2026-11"))


@dataclass(frozen=True, slots=True)
class Item:
    """One document to be indexed as `version`, made from the record at position `source`."""

    index: str
    id: str
    version: int
    document: Document
    source: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that was not indexed; `final` when it never will be as it is."""

    item: Item
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of one batch of deliveries: `failed` maps sequence numbers to reasons."""

    documents: int
    failed: dict[str, str]


_encoder = Encoder()


def index(search: OpenSearch, received: Sequence[Delivery], pause: Callable[[float], None] = time.sleep) -> Indexed:
    """Index all that can be of one batch of deliveries; what fails keeps nothing else from being indexed."""
    failed = {delivery.sequence_number: delivery.poison for delivery in received if delivery.record is None}
    items: list[Item] = []
    for source, delivery in enumerate(received):
        if delivery.record is not None:
            try:
                items += items_of(delivery.record, source)
            except (LookupError, TypeError, ValueError) as error:
                failed[delivery.sequence_number] = f"not a document: {error!r}"
    for refused in write(search, items, pause):
        failed[received[refused.item.source].sequence_number] = refused.reason
    return Indexed(len(items), failed)


def version_of(timeline: int, sequence: int) -> int:
    """Return the version of a document: a later timeline wins, then a later sequence."""
    return timeline << TIMELINE_BITS | sequence


def items_of(record: StreamRecord, source: int) -> Iterator[Item]:
    """Return the documents of one stream record.

    Raise `LookupError`, `TypeError` or `ValueError` at one that is no document.
    """
    for order in record.orders:
        version = version_of(record.timeline, order["sequence"])
        yield Item(_index_of(ORDERS, order["created_time"]), order["order_id"], version, order, source)
    for trade in record.trades:
        version = version_of(record.timeline, trade["sequence"])
        yield Item(_index_of(TRADES, trade["time"]), trade["trade_id"], version, trade, source)


def write(search: OpenSearch, items: Sequence[Item], pause: Callable[[float], None] = time.sleep) -> list[Refused]:
    """Index the newest version of each document and return those that could not be.

    Only what failed and may yet succeed is sent again, after a pause. A document that is there already in this or a
    newer version is done.
    """
    newest: dict[tuple[str, str], Item] = {}
    for item in items:
        known = newest.setdefault((item.index, item.id), item)
        if item.version > known.version:
            newest[item.index, item.id] = item
    refused = _sent(search, list(newest.values()))
    for pause_s in RETRY_PAUSES_S:
        again = [one.item for one in refused if not one.final]
        if not again:
            break
        pause(pause_s)
        refused = [one for one in refused if one.final] + _sent(search, again)
    return refused


def _index_of(name: str, time: str) -> str:
    return f"{name}-{time_text(parse_time(time))[_MONTH]}"


def _sent(search: OpenSearch, items: Sequence[Item]) -> list[Refused]:
    """Send all items; after a request that failed whole the rest is not tried, so that one wait is all that is lost."""
    refused: list[Refused] = []
    failure = ""
    for chunk in _chunks(items):
        if not failure:
            try:
                refused += _indexed(search, chunk)
            except OpenSearchException as error:
                failure = _reason(error)
        if failure:
            refused += [Refused(item, failure, final=False) for item, _ in chunk]
    return refused


def _indexed(search: OpenSearch, chunk: Sequence[tuple[Item, bytes]]) -> list[Refused]:
    _ensure_indices(search, {item.index for item, _ in chunk})
    lines = b"".join(text for _, text in chunk)
    answers = search.bulk(body=lines, params={"filter_path": "items.*.status,items.*.error"})["items"]
    outcomes = zip((item for item, _ in chunk), answers, strict=True)
    return [refusal for item, answer in outcomes if (refusal := _refusal(item, answer["index"]))]


def _chunks(items: Sequence[Item]) -> Iterator[list[tuple[Item, bytes]]]:
    chunk: list[tuple[Item, bytes]] = []
    size = 0
    for item in items:
        action = {"_index": item.index, "_id": item.id, "version": item.version, "version_type": "external"}
        text = _encoder.encode({"index": action}) + b"\n" + _encoder.encode(item.document) + b"\n"
        if chunk and (size + len(text) > MAX_BULK_BYTES or len(chunk) == MAX_BULK_ITEMS):
            yield chunk
            chunk, size = [], 0
        chunk.append((item, text))
        size += len(text)
    if chunk:
        yield chunk


def _ensure_indices(search: OpenSearch, names: set[str]) -> None:
    """Never leave the creation of an index to the first document: it would guess the mapping if a template is lost."""
    if search.indices.exists(index=",".join(sorted(names))):
        return
    install_templates(search)
    for name in sorted(names):
        try:
            search.indices.create(index=name)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise


def _refusal(item: Item, answer: Mapping[str, Any]) -> Refused | None:
    status = answer["status"]
    if status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.CONFLICT:
        return None
    error = answer.get("error", {})
    return Refused(item, f"{status} {error.get('type')}: {error.get('reason')}", status == HTTPStatus.BAD_REQUEST)


def _reason(error: OpenSearchException) -> str:
    return f"{error.status_code} {error.error}" if isinstance(error, TransportError) else str(error)
