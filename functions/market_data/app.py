"""Public market data and the state of the exchange over HTTP: look, answer; it changes nothing."""

import time
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from exchange import pages
from exchange.clients import Clients
from exchange.documents import market_document
from exchange.errors import Rejected, Unavailable
from exchange.health import DOWN, OK, Health
from exchange.http import Document, Event, Resolver, answered, answered_text
from exchange.market_data import Found, MarketData
from exchange.settings import Edge, load
from exchange.stores.database import DatabaseAway
from exchange.stores.history import INTERVALS_S, MICROSECONDS
from exchange.symbols import SYMBOL
from exchange.times import time_text

FIRST_PAGE = (2**63 - 1,)
DEFAULT_DEPTH = 50
MOST_DEPTH = 1000
MOST_SECONDS = 2**40

app = Resolver()


def handler(event: Event, context: Any) -> Document:
    """Answer one request of the load balancer."""
    return app.answer(event, context)


@cache
def clients() -> Clients:
    """Make the clients on first use, and keep them."""
    made = Clients(load(Edge))
    app.logger = made.logger
    return made


@app.get("/v1/time")
def tell_time() -> Response[str]:
    """Tell this machine's time."""
    _query()
    return answered({"time": time_text(time.time_ns() // 1000)})


@app.get("/v1/live")
def live() -> Response[str]:
    """Say that this function runs, asking nothing."""
    _query()
    return answered({"status": OK})


@app.get("/v1/ready")
def ready() -> Response[str]:
    """Say whether reads can be served and orders taken."""
    _public()
    health = Health(clients())
    if health.database() == DOWN or (health.engine() == DOWN and health.waiting_room() == DOWN):
        raise Unavailable("Orders cannot be taken now.", execution="none")
    return answered({"status": OK})


@app.get("/v1/health")
def health() -> Response[str]:
    """Say how each part is; a 503 says that an order can be neither matched nor queued."""
    _public()
    asked = Health(clients())
    components = asked.components()
    if components["engine"] == DOWN and asked.waiting_room() == DOWN:
        app.received.reply_headers["Retry-After"] = "1"
        detail = "No order can be matched or queued now."
        return app.problem("engine.unavailable", detail, 503, execution="none", components=components)
    status = "degraded" if DOWN in components.values() else OK
    return answered({"status": status, "components": components})


@app.get("/v1/assets")
def list_assets() -> Response[str]:
    """List the assets, newest first."""
    query = _public("limit", "cursor")
    limit, before = pages.limit_of(query), pages.cursor_place(query, "assets", 1) or FIRST_PAGE
    found = clients().markets.assets(before[0], limit + 1)
    documents = [{"asset": asset.asset, "decimals": asset.decimals} for _, asset in found]
    return answered_text(pages.page(documents, [(created,) for created, _ in found], "assets", limit))


@app.get("/v1/markets")
def list_markets() -> Response[str]:
    """List the markets, newest first, as they were last seen while the database is away."""
    query = _public("limit", "cursor")
    limit, before = pages.limit_of(query), pages.cursor_place(query, "markets", 1) or FIRST_PAGE
    markets = clients().markets
    try:
        found = markets.page(before[0], limit + 1)
    except DatabaseAway:
        if not markets.kept():
            raise
        app.received.reply_headers["X-Degraded"] = "true"
        return answered({"data": [market_document(market) for market in markets.kept()], "next_cursor": None})
    documents = [market_document(market) for _, market in found]
    return answered_text(pages.page(documents, [(created,) for created, _ in found], "markets", limit))


@app.get("/v1/markets/<symbol>")
def one_market(symbol: str) -> Response[str]:
    """Show one market, as it was last seen while the database is away."""
    _public()
    _check_symbol(symbol)
    markets = clients().markets
    try:
        found = markets.current(symbol)
    except DatabaseAway:
        found = markets.known(symbol)
        app.received.reply_headers["X-Degraded"] = "true"
    if found is None:
        raise _no_market()
    return answered(market_document(found))


@app.get("/v1/markets/<symbol>/ticker")
def ticker(symbol: str) -> Response[str]:
    """Show what a market is worth."""
    _public()
    _check_symbol(symbol)
    return _answered(_market_data().ticker(symbol))


@app.get("/v1/markets/<symbol>/book")
def book(symbol: str) -> Response[str]:
    """Show the best levels of a market."""
    query = _public("depth")
    _check_symbol(symbol)
    return _answered(_market_data().book(symbol, pages.number_of(query, "depth", DEFAULT_DEPTH, MOST_DEPTH)))


@app.get("/v1/markets/<symbol>/trades")
def list_trades(symbol: str) -> Response[str]:
    """List the trades of a market, newest first."""
    query = _public("limit", "cursor")
    _check_symbol(symbol)
    before = pages.cursor_place(query, "trades", 2)
    return _answered(_market_data().trades(symbol, before, pages.limit_of(query)))


@app.get("/v1/markets/<symbol>/candles")
def list_candles(symbol: str) -> Response[str]:
    """List the candles of a market, newest first."""
    query = _public("interval", "start", "end", "limit", "cursor")
    _check_symbol(symbol)
    interval = pages.choice_of(query, "interval", tuple(INTERVALS_S)) or "1m"
    limit, before = pages.limit_of(query), pages.cursor_place(query, "candles", 1)
    first, last = -(-_time(query, "start", 0) // MICROSECONDS), _time(query, "end", MOST_SECONDS) // MICROSECONDS
    if first > last:
        raise pages.bad_query("end", "must not be before start")
    last = min(last, before[0] - 1) if before else last
    return _answered(_market_data().candles(symbol, interval, (first, last), limit))


def _public(*names: str) -> Any:
    """Take a token of the client's address, and return the query when it has no other than these names."""
    clients().limiter.public(app.received)
    return _query(*names)


def _query(*names: str) -> Any:
    return pages.query_of(app.received.query, *names)


def _time(query: Any, name: str, default_s: int) -> int:
    time_us = pages.time_of(query, name)
    return default_s * MICROSECONDS if time_us is None else max(time_us, 0)


def _check_symbol(symbol: str) -> None:
    if not SYMBOL.fullmatch(symbol):
        raise _no_market()


def _no_market() -> Rejected:
    return Rejected("resource.not_found", "There is no such market.")


def _market_data() -> MarketData:
    return MarketData(clients())


def _answered(found: Found) -> Response[str]:
    if found.is_degraded:
        app.received.reply_headers["X-Degraded"] = "true"
    return answered_text(found.body)
