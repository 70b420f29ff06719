"""Every route against what no client should send: the status, the code, the field, and nothing changed by any of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from exchange.stores.database import Database
from tests.alb import Reply, event
from tests.edge import KEYS, Edge, edge

ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "100.00", "quantity": "1"}
ORDER_ID = "1-" + "a" * 26
MARKET = {
    "symbol": "BTC-ETH", "base": "BTC", "quote": "ETH", "tick_size": "0.001", "lot_size": "0.001", "min_notional": "0",
    "max_quantity": "1000",
}  # fmt: skip
DEPOSITS = "/v1/admin/accounts/acc_alice/deposits"
WITHDRAWALS = "/v1/admin/accounts/acc_alice/withdrawals"
API_KEYS = "/v1/admin/accounts/acc_alice/api-keys"
TRANSFER = {"asset": "BTC", "amount": "1", "reference": "never"}

TAKES_A_BODY = [
    ("alice", "POST", "/v1/orders"),
    ("alice", "POST", "/v1/orders/test"),
    ("alice", "POST", "/v1/orders/batch"),
    ("alice", "POST", "/v1/orders/oco"),
    ("alice", "POST", "/v1/orders/cancel-all-after"),
    ("alice", "PATCH", f"/v1/orders/{ORDER_ID}"),
    ("admin", "POST", "/v1/admin/assets"),
    ("admin", "POST", "/v1/admin/accounts"),
    ("admin", "PATCH", "/v1/admin/accounts/acc_alice"),
    ("admin", "POST", DEPOSITS),
    ("admin", "POST", WITHDRAWALS),
    ("admin", "POST", API_KEYS),
    ("admin", "POST", "/v1/admin/markets"),
    ("admin", "PATCH", "/v1/admin/markets/BTC-USD"),
]
READS = [
    ("alice", "/v1/orders"),
    ("alice", f"/v1/orders/{ORDER_ID}"),
    ("alice", "/v1/orders/by-client-id/a"),
    ("alice", "/v1/fills"),
    ("alice", "/v1/ledger"),
    ("alice", "/v1/balances"),
    ("alice", "/v1/account"),
    ("admin", "/v1/admin/search/orders"),
    ("admin", "/v1/admin/search/trades"),
    ("admin", "/v1/admin/search/events"),
    ("admin", "/v1/admin/reports/volume"),
    ("admin", "/v1/admin/alerts"),
]
DELETES = [
    ("alice", f"/v1/orders/{ORDER_ID}"),
    ("alice", "/v1/orders"),
    ("admin", "/v1/admin/api-keys/ex_nobody"),
]
SIGNED = [
    *TAKES_A_BODY,
    *((who, "GET", path) for who, path in READS),
    *((who, "DELETE", path) for who, path in DELETES),
]
PUBLIC = [
    "/v1/time", "/v1/live", "/v1/ready", "/v1/health", "/v1/assets", "/v1/markets", "/v1/markets/BTC-USD",
    "/v1/markets/BTC-USD/ticker", "/v1/markets/BTC-USD/book", "/v1/markets/BTC-USD/trades",
    "/v1/markets/BTC-USD/candles",
]  # fmt: skip
PAGED = [
    "/v1/orders", "/v1/fills", "/v1/ledger", "/v1/markets/BTC-USD/trades", "/v1/markets/BTC-USD/candles",
    "/v1/admin/search/orders", "/v1/admin/search/trades",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and what must come of it; no `wrong` means that no field is named."""

    who: str | None
    method: str
    path: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str | None] = field(default_factory=dict)
    status: int = 422
    code: str = "request.invalid"
    wrong: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query or self.body!r}"[:90]


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge(SEARCH_URL="http://127.0.0.1:9") as made:
        journal = Database(made.database_url)
        committed = "SELECT last_sequence FROM fence"
        before = journal.rows(committed)
        yield made
        after = journal.rows(committed)
        journal.close()
        assert after == before, "something malformed reached the journal"


def check(reply: Reply, case: Case) -> None:
    found = (reply.status, reply.body["code"], reply.body["status"], reply.headers["Content-Type"])
    assert found == (case.status, case.code, case.status, "application/problem+json"), reply.body
    assert reply.body["request_id"] == reply.headers["X-Request-Id"]
    assert {"type", "title", "detail"} <= reply.body.keys()
    if case.wrong is not None:
        assert case.wrong in reply.fields, reply.body


def who_of(path: str) -> str | None:
    if path.startswith("/v1/admin"):
        return "admin"
    return None if path.startswith("/v1/markets") else "alice"


NOT_JSON = [
    b"", b" ", b"{", b"}", b"{]", b"nope", b"{'a': 1}", b'{"a": 1,}', b'{"a": NaN}', b'{"a": -Infinity}',
    b'{"a": 01}', b'{"a": "\x01"}', b"\xff\xfe", b'{"a": "\xff"}', b'\xef\xbb\xbf{}', b'{"a": 1} x', b"{}{}",
    b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}', b"[" * 30_000, b'{"a":' * 9_000, b'{"a": ' + b"1" * 5_000 + b"}", b"\x00",
]  # fmt: skip


@pytest.mark.parametrize("raw", NOT_JSON, ids=lambda raw: repr(raw[:16]))
@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_a_body_that_is_not_json_is_a_400(floor: Edge, who: str, method: str, path: str, raw: bytes) -> None:
    check(floor.call(who, method, path, raw), Case(who, method, path, status=400))


@pytest.mark.parametrize("body", ["text", 1, 1.5, None, True, [], [{}]], ids=repr)
@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_a_body_that_is_no_object_is_a_422(floor: Edge, who: str, method: str, path: str, body: Any) -> None:
    raw = b"null" if body is None else body
    check(floor.call(who, method, path, raw), Case(who, method, path, wrong="body"))


@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_an_empty_object_is_a_422(floor: Edge, who: str, method: str, path: str) -> None:
    check(floor.call(who, method, path, {}), Case(who, method, path))


@pytest.mark.parametrize("name", ["unknown", "Symbol", "__proto__", "é", "a" * 300])
@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_an_unknown_field_is_named(floor: Edge, who: str, method: str, path: str, name: str) -> None:
    check(floor.call(who, method, path, {name: "1"}), Case(who, method, path, wrong=name[:64]))


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "", "text/json", "json", "application/json;charset=latin-1"],
)  # fmt: skip
@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_another_media_type_is_a_415(floor: Edge, who: str, method: str, path: str, media_type: str) -> None:
    reply = floor.call(who, method, path, {}, headers={"content-type": media_type})

    check(reply, Case(who, method, path, status=415, code="request.media_type"))


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', None])
def test_json_may_be_spelled_in_several_ways(floor: Edge, media_type: str | None) -> None:
    reply = floor.call("alice", "POST", "/v1/orders/test", ORDER, headers={"content-type": media_type})

    assert reply.status == 200


@pytest.mark.parametrize(("who", "method", "path"), TAKES_A_BODY)
def test_a_body_over_64_kb_is_a_413(floor: Edge, who: str, method: str, path: str) -> None:
    reply = floor.call(who, method, path, b" " * 65_537)

    check(reply, Case(who, method, path, status=413, code="request.too_large"))


@pytest.mark.parametrize(("who", "method", "path"), SIGNED)
def test_without_a_signature_nothing_is_done(floor: Edge, who: str, method: str, path: str) -> None:
    check(floor.call(None, method, path, {}), Case(None, method, path, status=401, code="auth.missing"))


@pytest.mark.parametrize(("who", "method", "path"), SIGNED)
def test_a_wrong_signature_is_refused(floor: Edge, who: str, method: str, path: str) -> None:
    reply = floor.call(who, method, path, ORDER, headers={"x-api-signature": "0" * 64})

    check(reply, Case(who, method, path, status=401, code="auth.bad_signature"))


@pytest.mark.parametrize(("who", "method", "path"), SIGNED)
def test_an_old_signature_is_refused(floor: Edge, who: str, method: str, path: str) -> None:
    reply = floor.call(who, method, path, ORDER, timestamp=1_700_000_000_000)

    check(reply, Case(who, method, path, status=401, code="auth.expired"))


@pytest.mark.parametrize(("method", "path"), [(method, path) for who, method, path in SIGNED if who == "admin"])
def test_a_trader_is_no_operator(floor: Edge, method: str, path: str) -> None:
    check(floor.call("alice", method, path, {}), Case("alice", method, path, status=403, code="auth.forbidden"))


@pytest.mark.parametrize(("who", "method", "path"), [*SIGNED, *((None, "GET", path) for path in PUBLIC)])
def test_an_unknown_parameter_is_named(floor: Edge, who: str | None, method: str, path: str) -> None:
    reply = floor.call(who, method, path, {}, query={"symbl": "BTC-USD"})

    check(reply, Case(who, method, path, status=400, wrong="symbl"))


@pytest.mark.parametrize("path", [*(path for _, path in READS), *PUBLIC])
def test_a_repeated_parameter_is_refused(floor: Edge, path: str) -> None:
    given = event("GET", path, key=KEYS["admin"])
    given["multiValueQueryStringParameters"] = {"limit": ["1", "1"]}

    check(floor.send(given), Case(None, "GET", path, status=400, wrong="limit"))


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "", "1.5", "1e2", "00", "9999999999999"])
@pytest.mark.parametrize("path", PAGED)
def test_a_bad_limit_is_named(floor: Edge, path: str, limit: str) -> None:
    reply = floor.call(who_of(path), "GET", path, query={"limit": limit})

    check(reply, Case(None, "GET", path, status=400, wrong="limit"))


@pytest.mark.parametrize("cursor", ["", "x", "bm9uZQ", "%", "b3JkZXJzLjEuMi4z", "!", "A" * 3000, "é", "../.."])
@pytest.mark.parametrize("path", PAGED)
def test_a_bad_cursor_is_named(floor: Edge, path: str, cursor: str) -> None:
    reply = floor.call(who_of(path), "GET", path, query={"cursor": cursor})

    check(reply, Case(None, "GET", path, status=400, wrong="cursor"))


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", sorted({path for _, _, path in SIGNED} | set(PUBLIC)))
def test_a_wrong_method_is_a_405(floor: Edge, path: str, method: str) -> None:
    reply = floor.call(None, method, path)

    check(reply, Case(None, method, path, status=405, code="request.method"))
    assert method not in reply.headers["Allow"]


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_can_only_be_read(floor: Edge, path: str) -> None:
    reply = floor.call(None, "POST", path, {})

    check(reply, Case(None, "POST", path, status=405, code="request.method"))
    assert reply.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/v2/orders", "/v1/order", "/v1/orders/", "/v1/orders/a/b", "/v1/admin/", "/v1/admin/users",
        "/v1/admin/search", "/v1/markets/", "/v1/markets/BTC-USD/", "/v1/markets/BTC-USD/depth", "/v1/timer",
        "/v1/markets/BTC-USD/book/1", "/favicon.ico", "/v1/orders/by-client-id/", "/v1/orders;a=b/c",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_of_nothing_is_a_404(floor: Edge, method: str, path: str) -> None:
    check(floor.call(None, method, path), Case(None, method, path, status=404, code="request.not_found"))


@pytest.mark.parametrize(
    "path", ["/v1//orders", "/v1/orders/..", "/v1/%2e%2e/orders", "/v1/orders%2Ftest", "//v1/time"]
)
def test_a_path_that_would_be_normalised_is_a_400(floor: Edge, path: str) -> None:
    check(floor.call("alice", "GET", path), Case("alice", "GET", path, status=400, wrong="path"))


SYMBOLS = ["XXX-USD", "btc-usd", "BTC", "BTC-USD-X", "", "BTC_USD", "A" * 40, "BTC-USD "]


@pytest.mark.parametrize("symbol", [symbol for symbol in SYMBOLS if symbol])
@pytest.mark.parametrize("part", ["", "/ticker", "/book", "/trades", "/candles"])
def test_an_unknown_market_in_a_path_is_a_404(floor: Edge, part: str, symbol: str) -> None:
    path = f"/v1/markets/{symbol.replace(' ', '%20')}{part}"

    check(floor.call(None, "GET", path), Case(None, "GET", path, status=404, code="resource.not_found"))


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize(
    ("who", "method", "path"),
    [
        ("alice", "GET", "/v1/orders"),
        ("alice", "GET", "/v1/fills"),
        ("alice", "GET", "/v1/orders/by-client-id/a"),
        ("alice", "DELETE", "/v1/orders"),
        ("admin", "GET", "/v1/admin/search/orders"),
    ],
)
def test_an_unknown_market_in_a_query_is_a_400(floor: Edge, who: str, method: str, path: str, symbol: str) -> None:
    reply = floor.call(who, method, path, query={"symbol": symbol})

    check(reply, Case(who, method, path, status=400, wrong="symbol"))


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/test"])
def test_an_unknown_market_in_a_body_is_a_422(floor: Edge, path: str, symbol: str) -> None:
    check(floor.call("alice", "POST", path, {**ORDER, "symbol": symbol}), Case("alice", "POST", path, wrong="symbol"))


NO_BATCHES: tuple[Any, ...] = ([], None, {}, "x", 1, [ORDER] * 51)
CASES = [
    *(Case("alice", "GET", "/v1/orders", query={"status": s}, status=400, wrong="status") for s in ("", "Open", "old")),
    *(Case("alice", "DELETE", "/v1/orders", query={"side": s}, status=400, wrong="side") for s in ("", "BUY", "both")),
    *(Case("alice", "GET", "/v1/fills", query={"order_id": s}, status=400, wrong="order_id") for s in ("", "1", "1-A")),
    *(Case("alice", "GET", "/v1/ledger", query={"asset": s}, status=400, wrong="asset") for s in ("", "btc", "XXX")),
    *(
        Case(None, "GET", "/v1/markets/BTC-USD/book", query={"depth": s}, status=400, wrong="depth")
        for s in ("0", "-1", "1001", "", "x", "1.0", "05")
    ),
    *(
        Case(None, "GET", "/v1/markets/BTC-USD/candles", query={"interval": s}, status=400, wrong="interval")
        for s in ("", "2m", "1M", "60", "1w")
    ),
    *(
        Case(None, "GET", "/v1/markets/BTC-USD/candles", query={name: s}, status=400, wrong=name)
        for name in ("start", "end")
        for s in ("", "now", "1763797044", "2026-11-22", "2026-11-22T00:00:00", "2026-02-30T00:00:00Z")
    ),
    Case(
        None, "GET", "/v1/markets/BTC-USD/candles", status=400, wrong="end",
        query={"start": "2026-11-22T00:00:01Z", "end": "2026-11-22T00:00:00Z"},
    ),
    *(Case("alice", "POST", "/v1/orders/batch", {"orders": orders}, wrong="orders") for orders in NO_BATCHES),
    Case("alice", "POST", "/v1/orders/oco", {"orders": [ORDER]}, wrong="orders"),
    Case("alice", "POST", "/v1/orders/oco", {"orders": [ORDER] * 3}, wrong="orders"),
    Case("alice", "POST", "/v1/orders/oco", {"orders": [ORDER, {**ORDER, "price": 1}]}, wrong="orders.1.price"),
    *(
        Case("alice", "POST", "/v1/orders/cancel-all-after", {"timeout_ms": value}, wrong="timeout_ms")
        for value in (-1, "1000", 1.5, None, True, 86_400_001)
    ),
    *(Case("alice", "PATCH", f"/v1/orders/{ORDER_ID}", {"price": value}, wrong="price") for value in (1, "0", "", "x")),
    Case("alice", "PATCH", f"/v1/orders/{ORDER_ID}", {"side": "buy"}, wrong="side"),
    Case("alice", "PATCH", "/v1/orders/nothing", {"price": "1"}, status=404, code="resource.not_found"),
    *(Case("admin", "POST", "/v1/admin/assets", {"asset": a, "decimals": 8}, wrong="asset") for a in ("", "btc", 1)),
    *(Case("admin", "POST", "/v1/admin/assets", {"asset": "A", "decimals": n}, wrong="decimals") for n in (-1, 19, "")),
    *(Case("admin", "POST", "/v1/admin/accounts", {"name": name}, wrong="name") for name in ("", 1, "a\nb", "a" * 101)),
    *(
        Case("admin", "POST", path, {**TRANSFER, "amount": amount}, wrong="amount")
        for path in (DEPOSITS, WITHDRAWALS)
        for amount in (1, "0", "-1", "", "1e5", "0.000000001", "10000000000", "999999999999999999.999999999999999999")
    ),
    *(Case("admin", "POST", DEPOSITS, {**TRANSFER, "asset": asset}, wrong="asset") for asset in ("XXX", "btc", "", 1)),
    *(Case("admin", "POST", DEPOSITS, {**TRANSFER, "reference": text}, wrong="reference") for text in ("", 1, "a\x00")),
    Case("admin", "POST", DEPOSITS, {**TRANSFER, "amount": "9999999999.99999999"}, wrong="amount"),
    *(
        Case("admin", "POST", f"/v1/admin/accounts/{account}/deposits", TRANSFER, status=404, code="resource.not_found")
        for account in ("acc_nobody", "external", "a%20b", "a" * 65, "a,b", "(a)")
    ),
    Case("admin", "POST", "/v1/admin/accounts/x/api-keys", {"scopes": ["read"]}, status=404, code="resource.not_found"),
    *(Case("admin", "POST", API_KEYS, {"scopes": scopes}, wrong="scopes") for scopes in ([], None, "", ["read"] * 2)),
    Case("admin", "POST", API_KEYS, {"scopes": ["read"], "ip_allow_list": ["10.0.0.1/8"]}, wrong="ip_allow_list.0"),
    *(
        Case("admin", "DELETE", f"/v1/admin/api-keys/{key}", status=404, code="resource.not_found")
        for key in ("ex_nobody", "a%20b", "a" * 65)
    ),
    *(
        Case("admin", "POST", "/v1/admin/markets", {**MARKET, **change}, wrong=next(iter(change)))
        for change in (
            {"symbol": "BTCETH"}, {"base": "X", "symbol": "X-ETH"}, {"quote": "X", "symbol": "BTC-X"}, {"cell": 9},
            {"tick_size": "0"}, {"lot_size": "0.000000001"}, {"tick_size": "0.0000001"}, {"max_quantity": "0.0001"},
            {"max_quantity": "10000000000"}, {"maker_fee_rate": "1"}, {"min_notional": "-1"}, {"status": "closed"},
        )
    ),
    Case("admin", "PATCH", "/v1/admin/markets/XXX-USD", {"status": "open"}, status=404, code="resource.not_found"),
    Case("admin", "PATCH", "/v1/admin/markets/xxx", {"status": "open"}, status=404, code="resource.not_found"),
    *(
        Case("admin", "PATCH", "/v1/admin/markets/BTC-USD", {name: value}, wrong=name)
        for name, value in (
            ("status", "closed"), ("status", ""), ("min_notional", 1), ("max_quantity", "0"), ("tick_size", "1"),
            ("max_quantity", "0.000001"), ("taker_fee_rate", "2"), ("price_band", "x"), ("symbol", "A-B"),
        )
    ),
    *(
        Case("admin", "GET", "/v1/admin/search/orders", query={name: value}, status=400, wrong=name)
        for name, value in (("side", "up"), ("status", "done"), ("from", "now"), ("to", ""), ("min_quantity", "-1"))
    ),
    Case("admin", "GET", "/v1/admin/reports/nothing", status=404, code="resource.not_found"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_value_is_refused_by_name(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query, headers=case.headers)

    check(reply, case)


NOT_BUILT = [
    Case("alice", "PATCH", f"/v1/orders/{ORDER_ID}", {"price": "1"}),
    Case("alice", "POST", "/v1/orders/oco", {"orders": [ORDER, ORDER]}),
    Case("alice", "POST", "/v1/orders/cancel-all-after", {"timeout_ms": 0}),
    Case("alice", "POST", "/v1/orders", {**ORDER, "time_in_force": "day"}, wrong="time_in_force"),
    Case("alice", "POST", "/v1/orders", {**ORDER, "display_quantity": "0.5"}, wrong="display_quantity"),
    Case("alice", "POST", "/v1/orders", {**ORDER, "self_trade_prevention": "decrement"}, wrong="self_trade_prevention"),
    Case("admin", "PATCH", "/v1/admin/accounts/acc_alice", {"status": "suspended"}),
    Case("admin", "POST", "/v1/admin/accounts/acc_alice/cancel-all"),
    Case("admin", "POST", "/v1/admin/halt"),
    Case("admin", "POST", "/v1/admin/resume", {}),
    Case("admin", "POST", "/v1/admin/markets", {**MARKET, "price_band": "0.1"}, wrong="price_band"),
    Case("admin", "PATCH", "/v1/admin/markets/BTC-USD", {"status": "auction"}, wrong="status"),
    Case("admin", "GET", "/v1/admin/search/events"),
    Case("admin", "GET", "/v1/admin/alerts"),
    *(
        Case("admin", "GET", f"/v1/admin/reports/{report}")
        for report in ("volume", "top-accounts", "order-to-trade", "latency", "reconciliation")
    ),
    Case(None, "GET", "/v1/stream"),
    Case(None, "GET", "/v1/stream/sse"),
]


@pytest.mark.parametrize("case", NOT_BUILT, ids=str)
def test_what_is_well_formed_and_not_built_yet_is_a_501(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body)

    assert (reply.status, reply.body["code"]) == (501, "request.not_implemented")
    assert case.wrong is None or reply.fields == [case.wrong]
