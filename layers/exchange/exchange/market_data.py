"""Market data from Redis, and where that fails from the leader's copy or the tables; it is never ahead of a commit.

What Redis holds is ready-made JSON and passed through as it is.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.json import Decoder

from exchange import pages
from exchange.clients import Clients
from exchange.documents import Document
from exchange.errors import Rejected, Unavailable
from exchange.http import text_of
from exchange.markets import Market
from exchange.stores import history
from exchange.stores.cache import CacheAway, CommandError

DEPTHS = (50, 1000)
"""The depths at which Redis holds a book."""
KEPT_CANDLES = 1500
"""How many candles of an interval Redis holds; before them only the tables do."""

_documents = Decoder(list[dict[str, Any]])
_document = Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Found:
    """A body, and whether it came from elsewhere than Redis."""

    body: str
    is_degraded: bool


class MarketData:
    """Reads what is public of the markets."""

    def __init__(self, clients: Clients):
        self._clients = clients

    def ticker(self, symbol: str) -> Found:
        """Return a market's ticker."""
        raw = self._cached(symbol, "GET", f"{{{symbol}}}:ticker")
        if raw is not None:
            return Found(raw.decode(), is_degraded=False)
        market = self._market(symbol)
        body = self._looked_up("ticker", symbol)
        return Found(body or text_of(history.ticker(self._clients.database, market, _now())), is_degraded=True)

    def book(self, symbol: str, depth: int) -> Found:
        """Return the best `depth` levels of both halves."""
        held = next(held for held in DEPTHS if depth <= held)
        raw = self._cached(symbol, "GET", f"{{{symbol}}}:book:{held}")
        if raw is not None:
            return Found(raw.decode() if depth == held else _cut(raw.decode(), depth), is_degraded=False)
        market = self._market(symbol)
        body = self._looked_up("book", symbol)
        if body is not None:
            return Found(_cut(body, depth), is_degraded=True)
        return Found(text_of(history.book(self._clients.database, market, depth)), is_degraded=True)

    def trades(self, symbol: str, before: tuple[int, ...] | None, limit: int) -> Found:
        """Return a page of trades; the pages after the first come from the tables, as history does."""
        if before is not None:
            return Found(self._stored_trades(symbol, before, limit), is_degraded=False)
        key = f"{{{symbol}}}:trades"
        raw = self._cached(symbol, "LRANGE", key, 0, limit)
        if raw or (raw is not None and self._is_written(symbol)):
            texts = [text.decode() for text in raw]
            places = [_trade_place(texts[limit - 1])] * limit if len(texts) > limit else []
            body = pages.page_of_texts(texts[:limit], places, "trades", is_last=not places)
            return Found(body, is_degraded=False)
        self._market(symbol)
        looked_up = self._looked_up("trades", symbol)
        if looked_up is None:
            return Found(self._stored_trades(symbol, None, limit), is_degraded=True)
        documents = _documents.decode(looked_up)
        places = [_place_of(document) for document in documents]
        return Found(pages.page(documents, places, "trades", limit), is_degraded=True)

    def candles(self, symbol: str, interval: str, span: tuple[int, int], limit: int) -> Found:
        """Return a page of the candles whose start lies in `span`, seconds since the epoch, both ends included."""
        key = f"{{{symbol}}}:candles:{interval}"
        arguments = ("ZREVRANGEBYSCORE", key, span[1], span[0], "WITHSCORES", "LIMIT", 0, limit + 1)
        raw = self._cached(symbol, *arguments)
        if raw is not None and (len(raw) > 2 * limit or self._is_all(symbol, key)):
            texts = [text.decode() for text in raw[0 : 2 * limit : 2]]
            places = [(int(float(score)),) for score in raw[1 : 2 * limit : 2]]
            is_last = len(raw) <= 2 * limit
            return Found(pages.page_of_texts(texts, places, "candles", is_last), is_degraded=False)
        found = history.candles(self._clients.database, self._market(symbol), interval, span, limit + 1)
        places = [(start,) for start, _ in found]
        body = pages.page([document for _, document in found], places, "candles", limit)
        return Found(body, is_degraded=not self._is_written(symbol))

    def _stored_trades(self, symbol: str, before: tuple[int, ...] | None, limit: int) -> str:
        market = self._market(symbol)
        fills = history.trades(self._clients.database, market, before, limit + 1)
        places = [(fill.sequence, fill.index) for fill in fills]
        return pages.page(history.trade_documents(fills, market), places, "trades", limit)

    def _market(self, symbol: str) -> Market:
        market = self._clients.markets.known(symbol)
        if market is None:
            raise Rejected("resource.not_found", "There is no such market.")
        return market

    def _cached(self, symbol: str, *command: str | int) -> Any:
        """Return what Redis holds, None where it holds nothing or cannot be asked."""
        try:
            return self._clients.cache.call(f"{{{symbol}}}", *command)
        except (CacheAway, CommandError):
            return None

    def _is_written(self, symbol: str) -> bool:
        """Tell whether the leader has written this market, so that a missing list is an empty one."""
        return bool(self._cached(symbol, "EXISTS", f"{{{symbol}}}:ticker"))

    def _is_all(self, symbol: str, key: str) -> bool:
        """Tell whether Redis holds every candle there is."""
        held = self._cached(symbol, "ZCARD", key)
        return held is not None and held < KEPT_CANDLES and self._is_written(symbol)

    def _looked_up(self, what: str, symbol: str) -> str | None:
        try:
            return self._clients.engine.look(what, symbol)
        except (Unavailable, Rejected):
            return None


def _cut(body: str, depth: int) -> str:
    document: Document = _document.decode(body)
    document["bids"], document["asks"] = document["bids"][:depth], document["asks"][:depth]
    return text_of(document)


def _trade_place(text: str) -> tuple[int, int]:
    return _place_of(_document.decode(text))


def _place_of(document: Mapping[str, Any]) -> tuple[int, int]:
    _, sequence, index = document["trade_id"].split("-")
    return int(sequence), int(index)


def _now() -> int:
    return time.time_ns() // 1000
