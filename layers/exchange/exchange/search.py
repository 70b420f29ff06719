"""The search index: the form of its documents and the administration's searches; it is never the truth.

Each month has an index of orders, by the time of their creation, and one of trades. A decimal is a keyword, exact as
printed, and beside it a `number` to compare and to add up. The library of the client costs 0.3 s to import and is
imported with the first client.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import DecodeError, Meta
from msgspec.json import Decoder, Encoder

from exchange import amounts
from exchange.errors import Rejected, Unavailable
from exchange.orders import OPEN_STATUSES, OrderStatus, Side
from exchange.times import parse_time, time_text

if TYPE_CHECKING:
    from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth

Document = dict[str, Any]
_Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]

ORDERS, TRADES = "orders", "trades"
MAX_TEXT = 200
STATUSES: dict[str, tuple[OrderStatus, ...]] = {
    **{status: (status,) for status in OrderStatus},
    "open": OPEN_STATUSES,
    "closed": tuple(status for status in OrderStatus if status not in OPEN_STATUSES),
}
"""What the filter `status` may say, and the statuses that it finds."""

_KEYWORD = {"type": "keyword"}
_NAME = {"type": "keyword", "copy_to": "text"}
_DECIMAL = {"type": "keyword", "fields": {"number": {"type": "double"}}}
_TIME = {"type": "date_nanos"}
_INTEGER = {"type": "long"}

_KEPT = {"type": "keyword", "index": False, "doc_values": False}
"""Returned with its document and searched by nobody: a quarter of the work of indexing a whole order."""

_ORDER_FIELDS: Document = {
    **dict.fromkeys(("order_id", "client_order_id", "account_id", "symbol", "type", "reason"), _NAME),
    **dict.fromkeys(("side", "status"), _KEYWORD),
    **dict.fromkeys(("time_in_force", "self_trade_prevention", "expire_time", "updated_time"), _KEPT),
    **dict.fromkeys(("quote_quantity", "price", "stop_price", "trailing_delta", "display_quantity"), _KEPT),
    **dict.fromkeys(("filled_quantity", "remaining_quantity", "prevented_quantity"), _KEPT),
    **dict.fromkeys(("average_price", "filled_quote"), _KEPT),
    **dict.fromkeys(("post_only", "queue_deadline_ms", "sequence"), _KEPT),
    "quantity": _DECIMAL,
    "created_time": _TIME,
    "fees": {"type": "object", "enabled": False},
    "text": {"type": "text"},
}
_TRADE_FIELDS: Document = {
    **dict.fromkeys(("trade_id", "symbol", "maker_order_id", "taker_order_id"), _NAME),
    **dict.fromkeys(("maker_account_id", "taker_account_id"), _NAME),
    **dict.fromkeys(("price", "quantity", "quote"), _DECIMAL),
    **dict.fromkeys(("maker_fee", "taker_fee", "cell"), _KEPT),
    **dict.fromkeys(("sequence", "index"), _INTEGER),
    "taker_side": _KEYWORD,
    "time": _TIME,
    "text": {"type": "text"},
}


_FIELDS = ((ORDERS, _ORDER_FIELDS), (TRADES, _TRADE_FIELDS))


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, newest first, and the cursor of the next page, None at the end."""

    documents: list[Document]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Collection:
    """Where one kind of document is searched: the field of each filter, and the sort that makes its order total."""

    name: str
    time: str
    side: str
    accounts: tuple[str, ...]
    sort: tuple[str, ...]
    cursor: Decoder[Any]


_ORDERS = _Collection(
    ORDERS,
    "created_time",
    "side",
    ("account_id",),
    ("created_time", "order_id"),
    Decoder(tuple[Literal["orders"], _Whole, str]),
)
_TRADES = _Collection(
    TRADES,
    "time",
    "taker_side",
    ("maker_account_id", "taker_account_id"),
    ("time", "sequence", "index", "trade_id"),
    Decoder(tuple[Literal["trades"], _Whole, _Whole, _Whole, str]),
)
_encoder = Encoder()


def client(url: str, timeout_s: float = 5) -> "OpenSearch":
    """Return a client of the server at `url`; requests to a domain of AWS are signed unless the URL names a user."""
    from opensearchpy import OpenSearch

    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username is None and host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return OpenSearch(hosts=[url], timeout=timeout_s, max_retries=1, http_auth=_signer(host))
    return OpenSearch(hosts=[url], timeout=timeout_s, max_retries=1)


def install_templates(search: "OpenSearch") -> None:
    """Install what a new index of orders or trades starts with; harmless when it is there."""
    for name, properties in _FIELDS:
        template = {
            "settings": {"index": {"refresh_interval": "1s", "number_of_shards": 1, "auto_expand_replicas": "0-1"}},
            "mappings": {"dynamic": "strict", "properties": properties},
        }
        search.indices.put_index_template(
            name=name, body={"index_patterns": [f"{name}-*"], "priority": 100, "template": template}
        )


def add_fields(search: "OpenSearch") -> None:
    """Give the indices that an earlier build made the fields that have come since; they take no others."""
    for name, properties in _FIELDS:
        for index in search.indices.get(index=f"{name}-*", params={"allow_no_indices": "true"}):
            search.indices.put_mapping(index=index, body={"properties": properties})


def search_orders(search: "OpenSearch", filters: Mapping[str, str], limit: int, cursor: str | None) -> Page:
    """Return the orders, as indexed, that match every filter, at most `limit`, newest first.

    Filters: account_id, symbol, side, status (one, `open` or `closed`), from and to (of the creation, inclusive),
    min_quantity, text (words of ids and reasons, the last may be a beginning).
    Raise `Rejected` for a bad filter or cursor, `Unavailable` when the index does not answer.
    """
    return _page(search, _ORDERS, _conditions(_ORDERS, filters), filters, limit, cursor)


def search_trades(search: "OpenSearch", filters: Mapping[str, str], limit: int, cursor: str | None) -> Page:
    """Return the trades, as indexed, that match every filter, at most `limit`, newest first.

    Filters as for orders, without status; account_id finds both sides, side means the taker's.
    Raise `Rejected` for a bad filter or cursor, `Unavailable` when the index does not answer.
    """
    if "status" in filters:
        raise _invalid("status", "is a filter of orders only")
    return _page(search, _TRADES, _conditions(_TRADES, filters), filters, limit, cursor)


def check_filters(filters: Mapping[str, str]) -> None:
    """Raise `Rejected` for a filter that a search of orders would refuse."""
    _conditions(_ORDERS, filters)


def _page(
    search: "OpenSearch",
    collection: _Collection,
    conditions: list[Document],
    filters: Mapping[str, str],
    limit: int,
    cursor: str | None,
) -> Page:
    body: Document = {
        "size": limit + 1,
        "query": {"bool": {"filter": conditions}},
        "sort": [{field: "desc"} for field in collection.sort],
        "track_total_hits": False,
    }
    if cursor is not None:
        body["search_after"] = _sort_values(collection, cursor)
    hits = _hits(search, f"{collection.name}-*", body)
    documents = [hit["_source"] for hit in hits[:limit]]
    next_cursor = _cursor(collection, hits[limit - 1]["sort"]) if len(hits) > limit else None
    return Page(_at_least(documents, filters.get("min_quantity")), next_cursor)


def _hits(search: "OpenSearch", index: str, body: Document) -> list[Document]:
    from opensearchpy.exceptions import OpenSearchException

    try:
        answer = search.search(
            index=index, body=body, params={"allow_no_indices": "true", "ignore_unavailable": "true"}
        )
    except OpenSearchException as error:
        raise Unavailable("The search index does not answer.", execution="none") from error
    hits: list[Document] = answer["hits"]["hits"]
    return hits


def _conditions(collection: _Collection, filters: Mapping[str, str]) -> list[Document]:
    conditions = []
    for name, value in filters.items():
        if name not in _CONDITIONS:
            raise _invalid(name, "is no filter")
        conditions.append(_CONDITIONS[name](collection, value))
    return conditions


def _account(collection: _Collection, value: str) -> Document:
    return {"bool": {"should": [{"term": {field: value}} for field in collection.accounts], "minimum_should_match": 1}}


def _symbol(_collection: _Collection, value: str) -> Document:
    return {"term": {"symbol": value}}


def _side(collection: _Collection, value: str) -> Document:
    if value not in tuple(Side):
        raise _invalid("side", "must be buy or sell")
    return {"term": {collection.side: value}}


def _status(_collection: _Collection, value: str) -> Document:
    if value not in STATUSES:
        raise _invalid("status", f"must be one of {', '.join(STATUSES)}")
    return {"terms": {"status": list(STATUSES[value])}}


def _from(collection: _Collection, value: str) -> Document:
    return {"range": {collection.time: {"gte": _time("from", value)}}}


def _to(collection: _Collection, value: str) -> Document:
    return {"range": {collection.time: {"lte": _time("to", value)}}}


def _min_quantity(_collection: _Collection, value: str) -> Document:
    if not amounts.DECIMAL.fullmatch(value):
        raise _invalid("min_quantity", "must be a decimal")
    return {"range": {"quantity.number": {"gte": value}}}


def _text(_collection: _Collection, value: str) -> Document:
    if len(value) > MAX_TEXT:
        raise _invalid("text", f"must have at most {MAX_TEXT} characters")
    return {"match_bool_prefix": {"text": {"query": value, "operator": "and"}}}


_CONDITIONS = {
    "account_id": _account,
    "symbol": _symbol,
    "side": _side,
    "status": _status,
    "from": _from,
    "to": _to,
    "min_quantity": _min_quantity,
    "text": _text,
}


def _time(name: str, value: str) -> str:
    try:
        return time_text(parse_time(value))
    except (ValueError, OverflowError):
        raise _invalid(name, "must be an RFC 3339 time such as 2026-11-22T07:37:24.123456Z") from None


def _at_least(documents: list[Document], min_quantity: str | None) -> list[Document]:
    """Drop what only the index's floating-point numbers hold to be enough."""
    if min_quantity is None:
        return documents
    return [document for document in documents if Decimal(document["quantity"]) >= Decimal(min_quantity)]


def _cursor(collection: _Collection, sort_values: list[Any]) -> str:
    return base64.urlsafe_b64encode(_encoder.encode([collection.name, *sort_values])).decode().rstrip("=")


def _sort_values(collection: _Collection, cursor: str) -> list[Any]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        decoded: tuple[Any, ...] = collection.cursor.decode(raw)
    except (ValueError, DecodeError):
        raise Rejected("request.invalid", "The cursor is none of this list.", (("cursor", "is invalid"),)) from None
    return list(decoded[1:])


def _invalid(name: str, message: str) -> Rejected:
    return Rejected("request.invalid", f"{name} {message}", ((name, message),))


def _signer(host: str) -> "Urllib3AWSV4SignerAuth":
    import boto3
    from opensearchpy import Urllib3AWSV4SignerAuth

    session = boto3.Session()
    labels = host.split(".")
    region = labels[labels.index("es") - 1] if "es" in labels else session.region_name
    return Urllib3AWSV4SignerAuth(session.get_credentials(), region, "es")
