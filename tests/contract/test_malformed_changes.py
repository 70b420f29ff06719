"""Malformed changes of orders, pairs, accounts and markets: each is refused by name, and nothing is changed by it."""

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
MAY_BE_EMPTY = [f"{ALICE}/cancel-all", "/v1/admin/halt", "/v1/admin/resume"]
STOP = {"symbol": "BTC-USD", "side": "sell", "type": "stop", "quantity": "1", "stop_price": "90.00"}
SELL = {**ORDER, "side": "sell", "price": "110.00"}
ETH_ORDER = {**ORDER, "symbol": "ETH-USD"}
NO_PRICES: tuple[Any, ...] = (1, 1.5, "0", "0.00", "", "x", "1e2", "-1", [])
NO_QUANTITIES: tuple[Any, ...] = (1, "0", "", "-1", {}, "1" * 19)
NO_OBJECTS: tuple[Any, ...] = ([], [{}], "text", 1)
NO_PAIRS: tuple[Any, ...] = ([], [ORDER], [ORDER] * 3, None, {}, "x")


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with unchanged_floor(OPEN_ORDER) as made:
        yield made


def patch(body: Any, wrong: str, code: str = "request.invalid") -> Case:
    return Case("alice", "PATCH", MINE, body, code=code, wrong=wrong)


def oco(orders: Any, wrong: str, code: str = "request.invalid") -> Case:
    return Case("alice", "POST", "/v1/orders/oco", {"orders": orders}, code=code, wrong=wrong)


CASES = [
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
    patch({"price": "100.001"}, "price", "order.price_tick"),
    patch({"quantity": "1.000001"}, "quantity", "order.lot_size"),
    patch({"price": "100.001", "quantity": "1.000001"}, "price", "order.price_tick"),
    patch({"quantity": "10000000000"}, "quantity"),
    patch({"price": "10000000000"}, "price"),
    patch({"price": "100000", "quantity": "1000000"}, "quantity"),
    *(
        Case("admin", method, f"/v1/admin/accounts/{account}{rest}", body, status=404, code="resource.not_found")
        for account in ("acc_nobody", "external", "fees", "a%20b")
        for method, rest, body in (("PATCH", "", {"status": "active"}), ("POST", "/cancel-all", {}))
    ),
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
def test_what_is_malformed_is_refused_by_name(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query)

    check(reply, case)


@pytest.mark.parametrize(
    "name",
    [
        "status", "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate", "reference",
        "volatility_auction_ms", "fee_tiers",
    ],
)  # fmt: skip
def test_a_setting_that_every_market_has_cannot_become_null(floor: Edge, name: str) -> None:
    case = Case("admin", "PATCH", "/v1/admin/markets/BTC-USD", {name: None, "price_band": None}, wrong=name)

    check(floor.call(case.who, case.method, case.path, case.body), case)
