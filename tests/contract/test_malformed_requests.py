"""Every route against what no client should send: the status, the code, the field, and nothing changed by any of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alb import event
from tests.edge import KEYS, Edge
from tests.refusals import API_KEYS, DEPOSITS, ORDER, ORDER_ID, WITHDRAWALS, Case, check, unchanged_floor

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
    "/v1/orders", "/v1/fills", "/v1/ledger", "/v1/assets", "/v1/markets", "/v1/markets/BTC-USD/trades",
    "/v1/markets/BTC-USD/candles", "/v1/admin/search/orders", "/v1/admin/search/trades", "/v1/admin/search/events",
    "/v1/admin/alerts",
]  # fmt: skip


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with unchanged_floor() as made:
        yield made


def who_of(path: str) -> str | None:
    if path.startswith("/v1/admin"):
        return "admin"
    return None if path.startswith(("/v1/markets", "/v1/assets")) else "alice"


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


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm9uZQ", "%", "b3JkZXJzLjEuMi4z", "b3JkZXJzLjE", "!", "A" * 3000, "é", "../.."]
)
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
