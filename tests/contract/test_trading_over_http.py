"""Orders and accounts over HTTP, from the load balancer's event to the real engine and back."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.alb import Reply, event
from tests.edge import KEYS, Edge, edge

ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "100.00", "quantity": "1"}


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture(autouse=True)
def empty_books(floor: Edge) -> Iterator[None]:
    yield
    for who in ("alice", "bob", "maker"):
        assert floor.call(who, "DELETE", "/v1/orders").status == 200


def place(floor: Edge, who: str, **changes: Any) -> Reply:
    return floor.call(who, "POST", "/v1/orders", {**ORDER, **changes})


def test_an_order_that_rests_is_answered_with_its_whole_document(floor: Edge) -> None:
    reply = place(floor, "alice", client_order_id="rests")

    assert reply.status == 201
    order = reply.body["order"]
    assert reply.body["fills"] == []
    assert order == {
        "order_id": order["order_id"],
        "client_order_id": "rests",
        "account_id": "acc_alice",
        "symbol": "BTC-USD",
        "side": "buy",
        "type": "limit",
        "quantity": "1.00000",
        "quote_quantity": None,
        "price": "100.00",
        "stop_price": None,
        "trailing_delta": None,
        "time_in_force": "gtc",
        "expire_time": None,
        "post_only": False,
        "display_quantity": None,
        "self_trade_prevention": "cancel_newest",
        "queue_deadline_ms": None,
        "status": "new",
        "filled_quantity": "0.00000",
        "remaining_quantity": "1.00000",
        "average_price": None,
        "filled_quote": "0.00000000",
        "fees": [],
        "reason": None,
        "sequence": order["sequence"],
        "created_time": order["created_time"],
        "updated_time": order["created_time"],
    }
    assert {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-Id"} <= reply.headers.keys()


def test_a_crossing_pair_trades_and_both_see_their_fills(floor: Edge) -> None:
    resting = place(floor, "maker", side="sell", price="100.00", quantity="0.5").body["order"]
    taking = place(floor, "alice", price="101.00", quantity="0.5")

    [fill] = taking.body["fills"]
    assert (fill["price"], fill["quantity"], fill["liquidity"]) == ("100.00", "0.50000", "taker")
    assert taking.body["order"]["status"] == "filled"
    [taken] = floor.call("alice", "GET", "/v1/fills", query={"order_id": taking.body["order"]["order_id"]}).body["data"]
    [made] = floor.call("maker", "GET", "/v1/fills", query={"order_id": resting["order_id"]}).body["data"]
    assert taken == fill
    assert (made["trade_id"], made["liquidity"], made["fee_asset"]) == (fill["trade_id"], "maker", "USD")


def test_a_copy_gets_the_first_answer_marked(floor: Edge) -> None:
    first = place(floor, "alice", client_order_id="twice")

    copy = place(floor, "alice", client_order_id="twice", price="100.0", queue_deadline_ms=5000)

    assert copy.status == 201
    assert copy.body == {**first.body, "replayed": True}


def test_the_same_bytes_sent_twice_are_one_order_although_they_name_none(floor: Edge) -> None:
    given = event("POST", "/v1/orders", ORDER, key=KEYS["alice"])

    first, copy = floor.send(given), floor.send(given)

    assert first.body["order"]["client_order_id"].startswith("x_")
    assert copy.body == {**first.body, "replayed": True}


def test_the_same_id_for_another_order_is_a_mismatch(floor: Edge) -> None:
    place(floor, "alice", client_order_id="taken")

    other = place(floor, "alice", client_order_id="taken", price="99.00")

    assert (other.status, other.body["code"]) == (409, "order.duplicate_mismatch")


def test_an_id_is_the_account_s_own(floor: Edge) -> None:
    assert place(floor, "alice", client_order_id="both").status == 201
    assert place(floor, "bob", client_order_id="both", price="99.00").status == 201


def test_a_refused_order_is_a_problem_with_the_order_and_so_is_its_copy(floor: Edge) -> None:
    first = place(floor, "alice", client_order_id="dear", quantity="9999", price="1000000")
    copy = place(floor, "alice", client_order_id="dear", quantity="9999", price="1000000")

    assert (first.status, first.body["code"]) == (422, "order.insufficient_funds")
    assert first.headers["Content-Type"] == "application/problem+json"
    assert (first.body["order"]["status"], first.body["order"]["reason"]) == ("rejected", "order.insufficient_funds")
    assert copy.status == 422
    assert copy.body == {**first.body, "request_id": copy.body["request_id"], "replayed": True}
    stored = floor.call("alice", "GET", f"/v1/orders/{first.body['order']['order_id']}")
    assert stored.body == {"order": first.body["order"]}


def test_a_tested_order_leaves_no_trace(floor: Edge) -> None:
    tested = floor.call("alice", "POST", "/v1/orders/test", {**ORDER, "client_order_id": "only-tested"})

    assert (tested.status, tested.body["order"]["status"]) == (200, "new")
    assert floor.call("alice", "GET", f"/v1/orders/{tested.body['order']['order_id']}").status == 404
    assert floor.call("alice", "GET", "/v1/orders", query={"status": "open"}).body["data"] == []


def test_a_tested_order_that_would_be_refused_says_why(floor: Edge) -> None:
    tested = floor.call("alice", "POST", "/v1/orders/test", {**ORDER, "quantity": "9999", "price": "1000000"})

    assert (tested.status, tested.body["code"]) == (422, "order.insufficient_funds")


def test_a_batch_is_answered_item_by_item(floor: Edge) -> None:
    items = [
        {**ORDER, "client_order_id": "item-1"},
        {**ORDER, "client_order_id": "item-1"},
        {**ORDER, "price": "100.001"},
        "no order",
        {**ORDER, "type": "stop", "stop_price": "90"},
        {**ORDER, "client_order_id": "item-5", "quantity": "9999", "price": "1000000"},
        {**ORDER, "client_order_id": "item-1", "price": "99.00"},
        ORDER,
        ORDER,
    ]

    reply = floor.call("alice", "POST", "/v1/orders/batch", {"orders": items})

    results = reply.body["results"]
    assert [result["status"] for result in results] == [201, 201, 422, 422, 422, 422, 409, 201, 201]
    assert results[1] == {**results[0], "replayed": True}
    assert results[2]["problem"]["code"] == "order.price_tick"
    assert results[3]["problem"]["errors"] == [{"field": "body", "message": "must be an object"}]
    assert (results[4]["problem"]["code"], results[4]["problem"]["errors"]) == (
        "order.combination",
        [{"field": "price", "message": "does not go with type stop"}],
    )
    assert results[5]["problem"]["order"]["status"] == "rejected"
    assert results[7]["order"]["order_id"] != results[8]["order"]["order_id"]


def test_a_batch_sent_twice_is_executed_once(floor: Edge) -> None:
    given = event("POST", "/v1/orders/batch", {"orders": [ORDER, ORDER]}, key=KEYS["alice"])

    first, copy = floor.send(given), floor.send(given)

    assert [result["replayed"] for result in copy.body["results"]] == [True, True]
    assert [result["order"] for result in copy.body["results"]] == [result["order"] for result in first.body["results"]]


def test_an_order_is_found_by_its_id_and_by_its_client_s(floor: Edge) -> None:
    order = place(floor, "alice", client_order_id="findable").body["order"]

    assert floor.call("alice", "GET", f"/v1/orders/{order['order_id']}").body == {"order": order}
    assert floor.call("alice", "GET", "/v1/orders/by-client-id/findable").body == {"order": order}
    by_symbol = floor.call("alice", "GET", "/v1/orders/by-client-id/findable", query={"symbol": "BTC-USD"})
    assert by_symbol.body == {"order": order}
    elsewhere = floor.call("alice", "GET", "/v1/orders/by-client-id/findable", query={"symbol": "ETH-USD"})
    assert (elsewhere.status, elsewhere.body["code"]) == (404, "resource.not_found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_account_s_order_is_not_there(floor: Edge, method: str) -> None:
    order = place(floor, "alice").body["order"]

    reply = floor.call("bob", method, f"/v1/orders/{order['order_id']}")

    assert (reply.status, reply.body["code"]) == (404, "resource.not_found")


@pytest.mark.parametrize(
    "order_id", ["1", "x", "1-" + "a" * 26, "1-" + "A" * 26, "1-" + "a" * 27, "%41", "2-" + "a" * 26]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_order_that_nobody_has_is_not_there(floor: Edge, method: str, order_id: str) -> None:
    reply = floor.call("alice", method, f"/v1/orders/{order_id}")

    assert (reply.status, reply.body["code"]) == (404, "resource.not_found")


def test_a_canceled_order_is_shown_and_its_funds_are_free(floor: Edge) -> None:
    order = place(floor, "alice").body["order"]

    canceled = floor.call("alice", "DELETE", f"/v1/orders/{order['order_id']}")

    assert canceled.status == 200
    assert (canceled.body["order"]["status"], canceled.body["order"]["reason"]) == ("canceled", "user")
    balances = {each["asset"]: each for each in floor.call("alice", "GET", "/v1/balances").body["data"]}
    assert balances["USD"]["held"] == "0.00000000"
    assert balances["USD"]["available"] == balances["USD"]["total"]


def test_the_same_cancel_sent_twice_gets_the_same_answer_and_another_one_does_not(floor: Edge) -> None:
    order_id = place(floor, "alice").body["order"]["order_id"]
    given = event("DELETE", f"/v1/orders/{order_id}", key=KEYS["alice"])

    first, copy = floor.send(given), floor.send(given)
    again = floor.call("alice", "DELETE", f"/v1/orders/{order_id}", timestamp=int(time.time() * 1000) - 7)

    assert copy.body == {**first.body, "replayed": True}
    assert (again.status, again.body["code"]) == (422, "order.not_cancelable")


def test_orders_are_canceled_by_market_and_side(floor: Edge) -> None:
    bid = place(floor, "alice").body["order"]["order_id"]
    ask = place(floor, "alice", side="sell", price="200.00").body["order"]["order_id"]
    other = place(floor, "alice", symbol="ETH-USD", price="5.00").body["order"]["order_id"]

    def canceled(query: dict[str, str]) -> Any:
        return floor.call("alice", "DELETE", "/v1/orders", query=query).body

    assert canceled({"symbol": "BTC-USD", "side": "sell"}) == {"canceled": 1, "order_ids": [ask]}
    assert canceled({"symbol": "BTC-USD"}) == {"canceled": 1, "order_ids": [bid]}
    assert canceled({}) == {"canceled": 1, "order_ids": [other]}
    assert canceled({"side": "buy"}) == {"canceled": 0, "order_ids": []}


def test_orders_of_a_halted_market_stay_and_a_cancel_that_names_it_is_refused(floor: Edge) -> None:
    kept = place(floor, "alice").body["order"]["order_id"]
    other = place(floor, "alice", symbol="ETH-USD", price="5.00").body["order"]["order_id"]
    market = "/v1/admin/markets/BTC-USD"
    assert floor.call("admin", "PATCH", market, {"status": "halted"}).status == 200

    try:
        named = floor.call("alice", "DELETE", "/v1/orders", query={"symbol": "BTC-USD"})
        everywhere = floor.call("alice", "DELETE", "/v1/orders")
    finally:
        assert floor.call("admin", "PATCH", market, {"status": "open"}).status == 200

    assert (named.status, named.body["code"]) == (422, "order.market_closed")
    assert everywhere.body == {"canceled": 1, "order_ids": [other]}
    assert floor.call("alice", "GET", f"/v1/orders/{kept}").body["order"]["status"] == "new"


def test_a_list_of_orders_is_read_page_by_page_newest_first(floor: Edge) -> None:
    placed = [place(floor, "bob", price=f"{50 + n}.00").body["order"]["order_id"] for n in range(5)]

    pages = floor.pages("bob", "/v1/orders", {"status": "open", "limit": "2"})

    assert [[order["order_id"] for order in page] for page in pages] == [
        [placed[4], placed[3]],
        [placed[2], placed[1]],
        [placed[0]],
    ]


def test_orders_are_listed_by_status_and_market(floor: Edge) -> None:
    kept = place(floor, "bob").body["order"]["order_id"]
    gone = place(floor, "bob", symbol="ETH-USD", price="5.00").body["order"]["order_id"]
    floor.call("bob", "DELETE", f"/v1/orders/{gone}")

    def listed(**query: str) -> list[str]:
        return [order["order_id"] for order in floor.call("bob", "GET", "/v1/orders", query=query).body["data"]]

    assert listed(status="open") == [kept] == listed(status="new")
    assert gone in listed(status="closed") and kept not in listed(status="closed")
    assert listed(status="canceled", symbol="ETH-USD")[0] == gone
    assert listed(status="queued") == listed(status="pending_trigger") == listed(symbol="SOL-USD") == []
    assert listed()[:2] == [gone, kept]


def test_fills_and_ledger_are_read_page_by_page_newest_first(floor: Edge) -> None:
    for n in range(3):
        place(floor, "maker", side="sell", price=f"{100 + n}.00", quantity="0.1")
    order = place(floor, "bob", price="110.00", quantity="0.3").body["order"]["order_id"]

    fills = floor.pages("bob", "/v1/fills", {"order_id": order, "limit": "2"})
    entries = floor.pages("bob", "/v1/ledger", {"asset": "BTC", "limit": "2"})

    assert [[fill["price"] for fill in page] for page in fills] == [["102.00", "101.00"], ["100.00"]]
    flat = [entry for page in entries for entry in page]
    assert len({entry["entry_id"] for entry in flat}) == len(flat)
    assert flat[-1]["kind"] == "deposit"
    assert [entry["kind"] for entry in flat[:2]] == ["fee", "trade"]
    balances = {each["asset"]: each["total"] for each in floor.call("bob", "GET", "/v1/balances").body["data"]}
    assert flat[0]["balance_after"] == balances["BTC"]


def test_an_account_shows_its_limits(floor: Edge) -> None:
    assert floor.call("alice", "GET", "/v1/account").body == {
        "account_id": "acc_alice",
        "status": "active",
        "maker_fee_rate": None,
        "taker_fee_rate": None,
        "limits": {
            "mutations_per_second": 1000,
            "mutations_burst": 2000,
            "cancels_per_second": 100,
            "reads_per_second": 2000,
        },
    }


def test_a_key_that_may_only_read_reads_and_no_more(floor: Edge) -> None:
    assert floor.call("reader", "GET", "/v1/balances").status == 200
    for method, path in (("POST", "/v1/orders"), ("DELETE", "/v1/orders"), ("POST", "/v1/orders/test")):
        reply = floor.call("reader", method, path, ORDER)
        assert (reply.status, reply.body["code"]) == (403, "auth.forbidden")


def test_nothing_is_said_about_a_body_before_its_signature_is_found_right(floor: Edge) -> None:
    given = event("POST", "/v1/orders", b"{", key=KEYS["alice"])
    given["multiValueHeaders"]["x-api-signature"] = ["0" * 64]

    assert floor.send(given).body["code"] == "auth.bad_signature"


def test_an_unknown_key_and_a_wrong_signature_get_equal_answers(floor: Edge) -> None:
    headers = {"x-request-id": "same"}
    known = event("GET", "/v1/account", key=KEYS["alice"], headers=headers)
    unknown = json.loads(json.dumps(known))
    known["multiValueHeaders"]["x-api-signature"] = ["0" * 64]
    unknown["multiValueHeaders"]["x-api-key"] = ["ex_nobody"]

    assert floor.send(known) == floor.send(unknown)
