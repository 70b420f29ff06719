"""What holds an account back: its status, the kill switch and the dead man's switch, as everybody concerned sees it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alb import Key, Reply, event
from tests.edge import KEYS, Edge, edge
from tests.until import until
from tests.venues import Venue, venue


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture
def pit(floor: Edge) -> Iterator[Venue]:
    yield venue(floor)
    set_status(floor, "active")


def set_status(floor: Edge, status: str) -> Reply:
    return floor.call("admin", "PATCH", "/v1/admin/accounts/acc_alice", {"status": status})


def dead_man(floor: Edge, timeout_ms: int) -> Reply:
    return floor.call("alice", "POST", "/v1/orders/cancel-all-after", {"timeout_ms": timeout_ms})


def delete(pit: Venue, order: Any) -> Reply:
    return pit.floor.call("alice", "DELETE", f"/v1/orders/{order['order_id']}")


def problem(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body.get("code", "")


def status_of(floor: Edge) -> str:
    status: str = floor.call("alice", "GET", "/v1/account").body["status"]
    return status


def test_an_account_that_only_cancels_does_so(pit: Venue) -> None:
    order, other = pit.placed("alice", "buy", "1", "100"), pit.placed("alice", "buy", "1", "99")

    changed = set_status(pit.floor, "cancel_only")

    assert (changed.status, changed.body) == (200, {"account_id": "acc_alice", "status": "cancel_only"})
    assert status_of(pit.floor) == "cancel_only"
    refused = pit.place("alice", "buy", "1", "100")
    assert problem(refused) == (422, "account.suspended")
    assert (refused.body["order"]["status"], refused.body["order"]["reason"]) == ("rejected", "account.suspended")
    amended = pit.floor.call("alice", "PATCH", f"/v1/orders/{other['order_id']}", {"quantity": "0.5"})
    assert problem(amended) == (422, "account.suspended")
    assert delete(pit, order).status == 200
    assert pit.floor.call("alice", "DELETE", "/v1/orders", query={"symbol": pit.symbol}).body["canceled"] == 1


def test_a_suspended_account_reads_and_no_more_and_is_traded_with_again_later(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "1", "100")
    set_status(pit.floor, "suspended")

    assert status_of(pit.floor) == "suspended"
    assert problem(pit.place("alice", "buy", "1", "100")) == (422, "account.suspended")
    assert problem(delete(pit, order)) == (422, "account.suspended")
    assert problem(pit.floor.call("alice", "DELETE", "/v1/orders")) == (422, "account.suspended")
    assert problem(dead_man(pit.floor, 60_000)) == (422, "account.suspended")
    assert pit.state("alice", order) == ("new", None)
    assert pit.placed("bob", "buy", "1", "99")["status"] == "new"
    assert set_status(pit.floor, "active").body["status"] == "active"
    assert delete(pit, order).status == 200


def test_a_status_is_changed_by_operators_only_and_of_accounts_that_exist(pit: Venue) -> None:
    for account in ("acc_nobody", "external", "fees", "a%20b"):
        for method, rest, body in (("PATCH", "", {"status": "active"}), ("POST", "/cancel-all", {})):
            reply = pit.floor.call("admin", method, f"/v1/admin/accounts/{account}{rest}", body)
            assert problem(reply) == (404, "resource.not_found"), account
    reply = pit.floor.call("alice", "PATCH", "/v1/admin/accounts/acc_alice", {"status": "active"})
    assert problem(reply) == (403, "auth.forbidden")


def test_the_kill_switch_cancels_everything_everywhere_and_stops_the_account(pit: Venue) -> None:
    halted = venue(pit.floor)
    orders = [
        pit.placed("alice", "buy", "1", "100"), pit.placed("alice", "sell", "1", type="stop", stop_price="50"),
        halted.placed("alice", "buy", "1", "100"),
    ]  # fmt: skip
    halted.change(status="halted")
    other = pit.placed("bob", "buy", "1", "90")
    given = event("POST", "/v1/admin/accounts/acc_alice/cancel-all", key=KEYS["admin"])

    first, copy = pit.floor.send(given), pit.floor.send(given)

    assert first.status == 200
    ids = first.body.pop("order_ids")
    assert sorted(ids) == sorted(order["order_id"] for order in orders)
    assert first.body == {"account_id": "acc_alice", "status": "cancel_only", "canceled": 3}
    assert copy.body == {**first.body, "order_ids": ids, "replayed": True}
    assert [pit.state("alice", order) for order in orders] == [("canceled", "kill_switch")] * 3
    assert pit.state("bob", other) == ("new", None)
    assert status_of(pit.floor) == "cancel_only"
    assert problem(pit.place("alice", "buy", "1", "100")) == (422, "account.suspended")


def test_the_dead_man_s_switch_cancels_everything_once_nobody_sets_it_again(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "1", "100")
    other = pit.placed("bob", "buy", "1", "99")

    armed = dead_man(pit.floor, 400)

    assert armed.status == 200
    assert set(armed.body) == {"cancel_time"}
    assert until(lambda: pit.state("alice", order) == ("canceled", "dead_man"), 10)
    assert pit.order("alice", order)["updated_time"] >= armed.body["cancel_time"]
    assert pit.state("bob", other) == ("new", None)
    assert pit.placed("alice", "buy", "1", "100")["status"] == "new"


def test_the_dead_man_s_switch_is_set_again_and_disarmed(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "1", "100")
    first = dead_man(pit.floor, 600).body["cancel_time"]

    second = dead_man(pit.floor, 60_000).body["cancel_time"]
    disarmed = dead_man(pit.floor, 0)

    assert second > first
    assert (disarmed.status, disarmed.body) == (200, {"cancel_time": None})
    marker = pit.placed("bob", "buy", "1", "99")
    assert until(lambda: pit.placed("bob", "buy", "1", "98")["created_time"] > first, 5)
    assert marker["status"] == "new"
    assert pit.state("alice", order) == ("new", None)


def test_a_copy_of_a_setting_does_not_set_it_again(pit: Venue) -> None:
    given = event("POST", "/v1/orders/cancel-all-after", {"timeout_ms": 60_000}, key=KEYS["alice"])

    first, copy = pit.floor.send(given), pit.floor.send(given)

    assert copy.body == {**first.body, "replayed": True}
    assert dead_man(pit.floor, 0).status == 200


def test_a_key_that_may_only_read_sets_no_switch(floor: Edge) -> None:
    reply = floor.call("reader", "POST", "/v1/orders/cancel-all-after", {"timeout_ms": 1000})

    assert problem(reply) == (403, "auth.forbidden")


def test_a_new_account_is_active_and_its_status_is_its_own(floor: Edge) -> None:
    account_id = floor.call("admin", "POST", "/v1/admin/accounts", {"name": "erin"}).body["account_id"]
    created = floor.call("admin", "POST", f"/v1/admin/accounts/{account_id}/api-keys", {"scopes": ["read"]}).body
    key = Key(created["api_key"], created["secret"])

    changed = floor.call("admin", "PATCH", f"/v1/admin/accounts/{account_id}", {"status": "suspended"})

    assert changed.status == 200
    assert floor.send(event("GET", "/v1/account", key=key)).body["status"] == "suspended"
    assert status_of(floor) == "active"
