"""Values that each route must refuse by name; nothing is changed by any of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge import Edge
from tests.refusals import API_KEYS, DEPOSITS, ORDER, WITHDRAWALS, Case, check, unchanged_floor

MARKET = {
    "symbol": "BTC-ETH", "base": "BTC", "quote": "ETH", "tick_size": "0.001", "lot_size": "0.001", "min_notional": "0",
    "max_quantity": "1000",
}  # fmt: skip
TRANSFER = {"asset": "BTC", "amount": "1", "reference": "never"}


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with unchanged_floor() as made:
        yield made


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
            ("price_band", "1"), ("price_band", "0"), ("reference", "last"), ("volatility_auction_ms", 0),
            ("volatility_auction_ms", "1000"), ("fee_tiers", {}), ("maker_fee_rate", "-0.5"),
        )
    ),
    *(
        Case("admin", "GET", "/v1/admin/search/orders", query={name: value}, status=400, wrong=name)
        for name, value in (("side", "up"), ("status", "done"), ("from", "now"), ("to", ""), ("min_quantity", "-1"))
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_value_is_refused_by_name(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query, headers=case.headers)

    check(reply, case)
