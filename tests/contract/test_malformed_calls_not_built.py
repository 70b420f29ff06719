"""Calls whose time has not come: what is wrong with one is said first, and only a well-formed one is a 501."""

from collections.abc import Iterator
from typing import Any

import pytest

from exchange.orders import Side
from tests.edge import Edge
from tests.refusals import ORDER, Case, check, unchanged_floor
from tests.serving import limit

OPEN_ORDER = limit("alice", Side.BUY, 100_000, 10_000, "resting")
MINE = f"/v1/orders/{OPEN_ORDER.order_id}"
ALICE = "/v1/admin/accounts/acc_alice"
REPORT_NAMES = ("volume", "top-accounts", "order-to-trade", "latency", "reconciliation")
REPORTS = [f"/v1/admin/reports/{name}" for name in REPORT_NAMES]
SEARCHES = ["/v1/admin/search/orders", "/v1/admin/search/events", "/v1/admin/alerts"]
MAY_BE_EMPTY = [f"{ALICE}/cancel-all", "/v1/admin/halt", "/v1/admin/resume"]
STOP = {"symbol": "BTC-USD", "side": "sell", "type": "stop", "quantity": "1", "stop_price": "90.00"}
SELL = {**ORDER, "side": "sell", "price": "110.00"}
ETH_ORDER = {**ORDER, "symbol": "ETH-USD"}
NO_TIMES = ("", "now", "1763797044", "2026-11-22", "2026-02-30T00:00:00Z")
NO_PRICES: tuple[Any, ...] = (1, 1.5, "0", "0.00", "", "x", "1e2", "-1", [])
NO_QUANTITIES: tuple[Any, ...] = (1, "0", "", "-1", {}, "1" * 19)
NO_OBJECTS: tuple[Any, ...] = ([], [{}], "text", 1)
NO_PAIRS: tuple[Any, ...] = ([], [ORDER], [ORDER] * 3, None, {}, "x")
BEYOND_TIME = "0001-01-01T00:00:00+23:59"


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with unchanged_floor(OPEN_ORDER) as made:
        yield made


def query_cases(path: str, name: str, *values: str) -> list[Case]:
    return [Case("admin", "GET", path, query={name: value}, status=400, wrong=name) for value in values]


def patch(body: Any, wrong: str, code: str = "request.invalid") -> Case:
    return Case("alice", "PATCH", MINE, body, code=code, wrong=wrong)


def oco(orders: Any, wrong: str, code: str = "request.invalid") -> Case:
    return Case("alice", "POST", "/v1/orders/oco", {"orders": orders}, code=code, wrong=wrong)


CASES = [
    *(
        case
        for path in REPORTS
        for case in (
            *query_cases(path, "symbol", "", "XXX-USD", "btc-usd"),
            *query_cases(path, "interval", "", "2m", "1M", "60"),
            *query_cases(path, "from", *NO_TIMES),
            *query_cases(path, "to", *NO_TIMES),
            *query_cases(path, "limit", "1"),
        )
    ),
    Case(
        "admin", "GET", REPORTS[0], status=400, wrong="to",
        query={"from": "2026-11-22T00:00:01Z", "to": "2026-11-22T00:00:00Z"},
    ),
    *(
        Case("admin", "GET", f"/v1/admin/reports/{name}", status=404, code="request.not_found")
        for name in ("nothing", "Volume", "top_accounts")
    ),
    *(
        case
        for path in SEARCHES
        for case in (
            *query_cases(path, "limit", "0", "501", "x", ""),
            *query_cases(path, "cursor", "", "x", "%", "A" * 3000),
            *query_cases(path, "side", "", "up", "BUY"),
            *query_cases(path, "status", "", "done"),
            *query_cases(path, "symbol", "", "XXX-USD", "btc-usd"),
            *query_cases(path, "from", *NO_TIMES, BEYOND_TIME),
            *query_cases(path, "to", *NO_TIMES),
            *query_cases(path, "min_quantity", "", "-1", "1e5"),
            *query_cases(path, "text", "x" * 201),
        )
    ),
    *(patch({"price": value}, "price") for value in NO_PRICES),
    *(patch({"quantity": value}, "quantity") for value in NO_QUANTITIES),
    *(patch(body, "quantity") for body in ({}, {"price": None}, {"quantity": None, "price": None})),
    patch({"price": "1", "side": "buy"}, "side"),
    patch([], "body"),
    Case("alice", "PATCH", "/v1/orders/nothing", {"price": "1"}, status=404, code="resource.not_found"),
    *(Case("admin", "PATCH", ALICE, {"status": value}, wrong="status") for value in ("", "closed", "Active", 1, None)),
    Case("admin", "PATCH", ALICE, {"status": "active", "name": "x"}, wrong="name"),
    *(Case("admin", "POST", path, {"reason": "x"}, wrong="reason") for path in MAY_BE_EMPTY),
    *(Case("admin", "POST", path, body, wrong="body") for path in MAY_BE_EMPTY for body in NO_OBJECTS),
    *(Case("admin", "POST", path, b"{", status=400) for path in MAY_BE_EMPTY),
    *(oco(orders, "orders") for orders in NO_PAIRS),
    oco([ORDER, 1], "orders.1.body"),
    oco([{**ORDER, "price": 1}, ORDER], "orders.0.price"),
    oco([STOP, {**ORDER, "price": 1}], "orders.1.price"),
    oco([STOP, {**ORDER, "price": "1.001"}], "orders.1.price", "order.price_tick"),
    oco([STOP, {**ORDER, "symbol": "XXX-USD"}], "orders.1.symbol"),
    oco([{**STOP, "stop_price": "90.001"}, ORDER], "orders.0.stop_price", "order.price_tick"),
    oco([ORDER, ETH_ORDER], "orders.1.symbol", "order.combination"),
    oco([ORDER, STOP], "orders.1.side", "order.combination"),
    oco([ORDER, ORDER], "orders.1.type", "order.combination"),
    oco([STOP, {**STOP, "stop_price": "91"}], "orders.1.type", "order.combination"),
    oco([STOP, {**SELL, "price": "90"}], "orders.0.stop_price", "order.combination"),
    oco([STOP, {**SELL, "time_in_force": "ioc"}], "orders.1.time_in_force", "order.combination"),
    *(
        Case("alice", "POST", "/v1/orders/cancel-all-after", body, wrong="timeout_ms")
        for body in ({}, {"timeout_ms": -1}, {"timeout_ms": "1000"}, {"timeout_ms": 1.5}, {"timeout_ms": True})
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_malformed_is_refused_although_the_call_is_not_built(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query)

    check(reply, case)


TIMES = {"from": "2026-11-22T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
FILTERS = {"account_id": "acc_alice", "symbol": "BTC-USD", "side": "buy", "status": "open", "min_quantity": "0.5"}
NOT_BUILT = [
    *(
        Case("alice", "PATCH", MINE, body)
        for body in ({"price": "99.99"}, {"quantity": "2"}, {"price": "1", "quantity": "0.5"})
    ),
    *(Case("alice", "POST", "/v1/orders/oco", {"orders": orders}) for orders in ([SELL, STOP], [STOP, SELL])),
    *(
        Case("admin", "GET", path, query=query)
        for path in SEARCHES[1:]
        for query in ({}, {"limit": "500"}, {**FILTERS, **TIMES, "text": "x"})
    ),
    *(
        Case("admin", "GET", path, query=query)
        for path in REPORTS
        for query in ({}, {"symbol": "BTC-USD", "interval": "1h", **TIMES})
    ),
    Case(None, "GET", "/v1/stream"),
    Case(None, "GET", "/v1/stream/sse"),
]


@pytest.mark.parametrize("case", NOT_BUILT, ids=str)
def test_what_is_well_formed_and_not_built_is_a_501(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query)

    check(reply, Case(case.who, case.method, case.path, status=501, code="request.not_implemented"))


@pytest.mark.parametrize("name", ["status", "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate"])
def test_a_setting_that_every_market_has_cannot_become_null(floor: Edge, name: str) -> None:
    case = Case("admin", "PATCH", "/v1/admin/markets/BTC-USD", {name: None, "price_band": None}, wrong=name)

    check(floor.call(case.who, case.method, case.path, case.body), case)
