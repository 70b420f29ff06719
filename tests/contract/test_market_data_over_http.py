"""Public market data over HTTP: from Redis, and the same from the leader or the tables where Redis has none."""

import threading
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest

from tests.alb import Reply, asked, event, function
from tests.edge import Edge, edge
from tests.servers import valkey
from tests.until import until

ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "100.00", "quantity": "1"}
PARTS = ["ticker", "book", "trades", "candles"]


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    """A market with three trades and a book of two bids and an ask, shown in Redis."""
    with edge() as made:
        for price in ("100.00", "101.00", "99.50"):
            made.call("maker", "POST", "/v1/orders", {**ORDER, "side": "sell", "price": price, "quantity": "0.1"})
            taken = made.call("alice", "POST", "/v1/orders", {**ORDER, "price": price, "quantity": "0.1"})
            assert taken.body["order"]["status"] == "filled"
        for side, price in (("buy", "98.00"), ("buy", "98.00"), ("buy", "97.00"), ("sell", "105.00")):
            last = made.call("maker", "POST", "/v1/orders", {**ORDER, "side": side, "price": price})
        sequence = last.body["order"]["sequence"]
        for depth in ("50", "1000"):
            wait_for(made, depth, sequence)
        yield made


def wait_for(floor: Edge, depth: str, sequence: int) -> None:
    for _ in range(200):
        if public(floor, "/book", {"depth": depth}).body["sequence"] == sequence:
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"the book of depth {depth} never showed sequence {sequence}")


def public(floor: Edge, part: str, query: dict[str, str] | None = None) -> Reply:
    return floor.call(None, "GET", f"/v1/markets/BTC-USD{part}", query=query or {})


@pytest.fixture
def degraded(floor: Edge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The function as it is while Redis is away."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    module = function("market_data")
    yield module
    module.clients().close()


def test_the_book_is_the_best_levels_with_their_checksum(floor: Edge) -> None:
    reply = public(floor, "/book")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.body["bids"] == [["98.00", "2.00000", 2], ["97.00", "1.00000", 1]]
    assert reply.body["asks"] == [["105.00", "1.00000", 1]]
    assert reply.body["checksum"] == crc32(b"105.00:1.00000|98.00:2.00000|97.00:1.00000")
    assert until(lambda: "X-Degraded" not in public(floor, "/book").headers, 10)


@pytest.mark.parametrize(("depth", "bids"), [("1", 1), ("2", 2), ("50", 2), ("51", 2), ("1000", 2)])
def test_the_book_is_cut_to_its_depth_and_the_checksum_stays(floor: Edge, depth: str, bids: int) -> None:
    whole, cut = public(floor, "/book").body, public(floor, "/book", {"depth": depth}).body

    assert cut == {**whole, "bids": whole["bids"][:bids]}


def test_the_ticker_says_what_a_market_is_worth(floor: Edge) -> None:
    ticker = public(floor, "/ticker").body

    assert {name: ticker[name] for name in ticker if name not in ("sequence", "time")} == {
        "symbol": "BTC-USD",
        "last_price": "99.50",
        "best_bid": "98.00",
        "best_ask": "105.00",
        "open_24h": "100.00",
        "high_24h": "101.00",
        "low_24h": "99.50",
        "volume_24h": "0.30000",
        "quote_volume_24h": "30.05000000",
    }


def test_trades_are_listed_newest_first(floor: Edge) -> None:
    body = public(floor, "/trades").body

    assert [trade["price"] for trade in body["data"]] == ["99.50", "101.00", "100.00"]
    assert set(body["data"][0]) == {"trade_id", "symbol", "price", "quantity", "taker_side", "sequence", "time"}
    assert body["next_cursor"] is None


def test_trades_go_on_where_the_first_page_ended(floor: Edge) -> None:
    first = public(floor, "/trades", {"limit": "1"}).body
    second = public(floor, "/trades", {"limit": "1", "cursor": first["next_cursor"]}).body
    third = public(floor, "/trades", {"limit": "1", "cursor": second["next_cursor"]}).body

    assert [page["data"][0] for page in (first, second, third)] == public(floor, "/trades").body["data"]
    assert third["next_cursor"] is None


def test_candles_tell_first_highest_lowest_and_last_price(floor: Edge) -> None:
    [candle] = public(floor, "/candles", {"interval": "1d"}).body["data"]

    assert {name: candle[name] for name in candle if name != "start"} == {
        "open": "100.00",
        "high": "101.00",
        "low": "99.50",
        "close": "99.50",
        "volume": "0.30000",
        "trades": 3,
    }
    assert candle["start"].endswith("T00:00:00.000000Z")


def test_candles_are_those_that_start_within_the_bounds_both_included(floor: Edge) -> None:
    [candle] = public(floor, "/candles", {"interval": "1d"}).body["data"]
    start = candle["start"]

    def found(**query: str) -> int:
        return len(public(floor, "/candles", {"interval": "1d", **query}).body["data"])

    assert found(start=start, end=start) == 1
    assert found(start=start.replace("00.000000Z", "00.000001Z")) == 0
    assert found(end="2020-01-01T00:00:00Z") == 0


@pytest.mark.parametrize("part", PARTS)
def test_while_redis_is_away_the_same_comes_from_the_leader(floor: Edge, degraded: Any, part: str) -> None:
    there = public(floor, f"/{part}")
    reply = asked(degraded, event("GET", f"/v1/markets/BTC-USD/{part}"))

    assert (reply.status, reply.headers["X-Degraded"], reply.body) == (200, "true", there.body)


@pytest.mark.parametrize("part", PARTS)
def test_without_redis_and_leader_the_same_comes_from_the_tables(
    floor: Edge, degraded: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setenv("GATEWAY_SECRET", "wrong")
    there = public(floor, f"/{part}")

    reply = asked(degraded, event("GET", f"/v1/markets/BTC-USD/{part}"))

    assert (reply.status, reply.headers["X-Degraded"]) == (200, "true")
    for name in ("sequence", "time"):
        reply.body.pop(name, None)
        there.body.pop(name, None)
    assert reply.body == there.body


@pytest.mark.parametrize("path", ["/v1/markets", "/v1/assets"])
def test_markets_and_assets_are_read_page_by_page(floor: Edge, path: str) -> None:
    everything = floor.call(None, "GET", path).body["data"]
    pages: list[Any] = []
    query = {"limit": "2"}
    while len(pages) < 5:
        pages.append(floor.call(None, "GET", path, query=query).body)
        if pages[-1]["next_cursor"] is None:
            break
        query["cursor"] = pages[-1]["next_cursor"]

    assert [entry for page in pages for entry in page["data"]] == everything
    assert len(pages) == 2


def test_markets_and_assets_are_listed_newest_first(floor: Edge) -> None:
    assets = floor.call(None, "GET", "/v1/assets").body
    markets = floor.call(None, "GET", "/v1/markets").body

    assert assets["data"] == [{"asset": name, "decimals": 8} for name in ("SOL", "ETH", "BTC", "USD")]
    assert [market["symbol"] for market in markets["data"]] == ["SOL-USD", "ETH-USD", "BTC-USD"]
    assert floor.call(None, "GET", "/v1/markets/BTC-USD").body == markets["data"][2]
    assert markets["data"][2] == {
        "symbol": "BTC-USD",
        "base": "BTC",
        "quote": "USD",
        "status": "open",
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "min_notional": "0.00000000",
        "max_quantity": "10000.00000",
        "maker_fee_rate": "0.001",
        "taker_fee_rate": "0.002",
        "fee_tiers": [],
        "price_band": None,
        "reference": "moving",
        "volatility_auction_ms": 30000,
        "cell": 1,
        "home_region": "local",
    }


def test_a_market_without_trades_has_empty_lists_and_is_not_degraded(floor: Edge) -> None:
    for part in ("trades", "candles"):
        reply = floor.call(None, "GET", f"/v1/markets/SOL-USD/{part}")
        assert (reply.body, "X-Degraded" in reply.headers) == ({"data": [], "next_cursor": None}, False)


def test_the_function_says_that_it_lives_and_what_time_it_is(floor: Edge) -> None:
    assert floor.call(None, "GET", "/v1/live").status == 200
    assert floor.call(None, "GET", "/v1/time").body["time"].endswith("Z")


def test_it_is_ready_while_a_leader_answers(floor: Edge) -> None:
    assert floor.call(None, "GET", "/v1/ready").status == 200
    health = floor.call(None, "GET", "/v1/health")
    assert (health.status, health.body["status"]) == (200, "degraded")
    assert health.body["components"] == {
        "engine": "ok",
        "database": "ok",
        "cache": "ok",
        "stream": "down",
        "search": "down",
    }


def test_without_a_leader_it_is_not_ready_and_says_so(floor: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SECRET", "wrong")
    module = function("market_data")

    for path in ("/v1/ready", "/v1/health"):
        reply = asked(module, event("GET", path))
        assert (reply.status, reply.body["code"], reply.body["execution"]) == (503, "engine.unavailable", "none")
        assert reply.headers["Retry-After"] == "1"
    module.clients().close()


def test_time_and_life_need_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "GATEWAY_SECRET", "KEY_ENCRYPTION_KEY"):
        monkeypatch.delenv(name, raising=False)
    module = function("market_data")

    assert asked(module, event("GET", "/v1/time")).status == 200
    assert asked(module, event("GET", "/v1/live")).status == 200


def test_what_redis_lost_is_read_elsewhere_until_it_is_back(floor: Edge) -> None:
    there = {part: public(floor, f"/{part}").body for part in ("book", "trades", "candles")}
    valkey()

    assert {part: public(floor, f"/{part}").body for part in there} == there
