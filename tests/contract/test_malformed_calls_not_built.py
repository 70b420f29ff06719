"""Calls whose time has not come: what is wrong with one is said first, and only a well-formed one is a 501."""

from collections.abc import Iterator

import pytest

from tests.edge import Edge
from tests.refusals import Case, check, unchanged_floor

REPORT_NAMES = ("volume", "top-accounts", "order-to-trade", "latency", "reconciliation")
REPORTS = [f"/v1/admin/reports/{name}" for name in REPORT_NAMES]
SEARCHES = ["/v1/admin/search/orders", "/v1/admin/search/events", "/v1/admin/alerts"]
NO_TIMES = ("", "now", "1763797044", "2026-11-22", "2026-02-30T00:00:00Z")
BEYOND_TIME = "0001-01-01T00:00:00+23:59"


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with unchanged_floor() as made:
        yield made


def query_cases(path: str, name: str, *values: str) -> list[Case]:
    return [Case("admin", "GET", path, query={name: value}, status=400, wrong=name) for value in values]


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
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_malformed_is_refused_although_the_call_is_not_built(floor: Edge, case: Case) -> None:
    reply = floor.call(case.who, case.method, case.path, case.body, query=case.query)

    check(reply, case)


TIMES = {"from": "2026-11-22T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
FILTERS = {"account_id": "acc_alice", "symbol": "BTC-USD", "side": "buy", "status": "open", "min_quantity": "0.5"}
NOT_BUILT = [
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
