"""OCO pairs, as an outside client sees them: both or none, and one ends the other."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alb import Reply, event
from tests.edge import KEYS, Edge, edge
from tests.venues import Venue, venue


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture
def pit(floor: Edge) -> Venue:
    """A market whose last trade was at 100."""
    made = venue(floor)
    made.traded("100.00")
    return made


def legs(pit: Venue, quantity: str = "2", side: str = "sell", **names: str) -> list[dict[str, Any]]:
    """A profit at 110 and a stop at 95, or mirrored."""
    profit, stop = ("110", "95") if side == "sell" else ("90", "105")
    shared = {"symbol": pit.symbol, "side": side, "quantity": quantity}
    return [
        {**shared, "type": "limit", "price": profit, "client_order_id": names.get("first")},
        {**shared, "type": "stop", "stop_price": stop, "client_order_id": names.get("second")},
    ]


def pair(pit: Venue, *orders: dict[str, Any], who: str = "alice") -> Reply:
    return pit.floor.call(who, "POST", "/v1/orders/oco", {"orders": list(orders or legs(pit))})


def test_a_pair_rests_and_waits_under_one_sequence_and_one_hold(pit: Venue) -> None:
    reply = pair(pit)

    assert reply.status == 201, reply.body
    assert set(reply.body) == {"orders", "fills"}
    profit, stop = reply.body["orders"]
    assert (profit["status"], stop["status"], reply.body["fills"]) == ("new", "pending_trigger", [])
    assert profit["sequence"] == stop["sequence"]
    assert pit.balance("alice", pit.base) == ("998.00000000", "2.00000000")
    assert (pit.order("alice", profit), pit.order("alice", stop)) == (profit, stop)


def test_a_list_shows_both_legs_though_a_page_ends_between_them(pit: Venue) -> None:
    older = pit.placed("alice", "sell", "1", "500")
    both = pair(pit).body["orders"]
    query = {"symbol": pit.symbol, "status": "open"}
    whole = pit.floor.call("alice", "GET", "/v1/orders", query=query).body["data"]

    pages = pit.floor.pages("alice", "/v1/orders", {**query, "limit": "1"})

    assert [[order] for order in whole] == pages
    assert [order["order_id"] for order in whole[2:]] == [older["order_id"]]
    assert sorted(order["order_id"] for order in whole[:2]) == sorted(order["order_id"] for order in both)


def test_the_larger_leg_is_held_once(pit: Venue) -> None:
    first, second = legs(pit)

    assert pair(pit, first, {**second, "quantity": "5"}).status == 201

    assert pit.balance("alice", pit.base) == ("995.00000000", "5.00000000")


def test_a_profit_that_is_taken_cancels_the_stop_in_the_same_sequence(pit: Venue) -> None:
    profit, stop = pair(pit).body["orders"]

    pit.placed("bob", "buy", "1", "110")

    assert pit.state("alice", profit) == ("partially_filled", None)
    assert pit.state("alice", stop) == ("canceled", "oco")
    assert pit.order("alice", profit)["sequence"] == pit.order("alice", stop)["sequence"]
    assert pit.balance("alice", pit.base) == ("998.00000000", "1.00000000")


def test_a_stop_that_triggers_cancels_the_profit_in_the_same_sequence(pit: Venue) -> None:
    profit, stop = pair(pit).body["orders"]
    pit.placed("bob", "buy", "2", "94")

    pit.traded("95.00")

    assert pit.state("alice", profit) == ("canceled", "oco")
    assert pit.fills("alice", stop) == [("94.00", "2.000")]
    assert pit.order("alice", profit)["sequence"] == pit.order("alice", stop)["sequence"]
    assert pit.balance("alice", pit.base) == ("998.00000000", "0.00000000")


@pytest.mark.parametrize("named", [0, 1])
def test_canceling_one_cancels_the_other(pit: Venue, named: int) -> None:
    orders = pair(pit).body["orders"]

    canceled = pit.floor.call("alice", "DELETE", f"/v1/orders/{orders[named]['order_id']}")

    assert (canceled.status, canceled.body["order"]["order_id"]) == (200, orders[named]["order_id"])
    assert canceled.body["order"]["reason"] == "user"
    assert pit.state("alice", orders[1 - named]) == ("canceled", "oco")
    assert pit.balance("alice", pit.base) == ("1000.00000000", "0.00000000")


def test_a_bulk_cancel_counts_both(pit: Venue) -> None:
    orders = pair(pit).body["orders"]

    reply = pit.floor.call("alice", "DELETE", "/v1/orders", query={"symbol": pit.symbol})

    assert reply.body["canceled"] == 2
    assert sorted(reply.body["order_ids"]) == sorted(order["order_id"] for order in orders)


def test_a_pair_that_buys_holds_the_dearer_leg(pit: Venue) -> None:
    first, second = legs(pit, side="buy")
    stop_limit = {**second, "type": "stop_limit", "price": "106"}

    reply = pair(pit, first, stop_limit)

    assert reply.status == 201, reply.body
    assert pit.balance("alice", pit.quote) == ("99788.00000000", "212.00000000")


def test_a_pair_sent_twice_is_one_pair_and_answered_twice(pit: Venue) -> None:
    given = event("POST", "/v1/orders/oco", {"orders": legs(pit)}, key=KEYS["alice"])

    first, copy = pit.floor.send(given), pit.floor.send(given)

    assert first.status == 201
    assert [order["client_order_id"][:2] for order in first.body["orders"]] == ["x_", "x_"]
    assert (copy.status, copy.body) == (201, {**first.body, "replayed": True})


def test_the_same_ids_are_the_same_pair_or_a_mismatch(pit: Venue) -> None:
    names = {"first": f"{pit.base}-a", "second": f"{pit.base}-b"}
    first = pair(pit, *legs(pit, **names))

    copy = pair(pit, *legs(pit, **names))
    larger = pair(pit, *legs(pit, "3", **names))
    half_new = pair(pit, *legs(pit, first=names["first"], second=f"{pit.base}-c"))

    assert (copy.status, copy.body) == (201, {**first.body, "replayed": True})
    for other in (larger, half_new):
        assert (other.status, other.body["code"]) == (409, "order.duplicate_mismatch")


def test_a_pair_that_cannot_be_paid_is_refused_whole_and_stored(pit: Venue) -> None:
    names = {"first": f"{pit.base}-x", "second": f"{pit.base}-y"}
    orders = legs(pit, "1000", **names)
    pit.placed("alice", "sell", "1", "500")

    refused, copy = pair(pit, *orders), pair(pit, *orders)

    assert (refused.status, refused.body["code"]) == (422, "order.insufficient_funds")
    assert [order["status"] for order in refused.body["orders"]] == ["rejected", "rejected"]
    assert copy.body == {**refused.body, "request_id": copy.body["request_id"], "replayed": True}
    assert pit.balance("alice", pit.base) == ("999.00000000", "1.00000000")


def test_a_stop_on_the_wrong_side_refuses_the_pair(pit: Venue) -> None:
    first, second = legs(pit)

    reply = pair(pit, first, {**second, "stop_price": "101"})

    assert (reply.status, reply.body["code"]) == (422, "order.would_trigger")
    assert (
        pit.floor.call("alice", "GET", "/v1/orders", query={"symbol": pit.symbol, "status": "open"}).body["data"] == []
    )


def test_a_leg_cannot_be_amended(pit: Venue) -> None:
    profit, _ = pair(pit).body["orders"]

    reply = pit.floor.call("alice", "PATCH", f"/v1/orders/{profit['order_id']}", {"price": "111"})

    assert (reply.status, reply.body["code"]) == (422, "order.combination")
    assert pit.order("alice", profit)["price"] == "110.00"


def test_two_orders_that_do_not_go_together_are_refused_by_name(pit: Venue) -> None:
    first, second = legs(pit)

    reply = pair(pit, first, {**second, "symbol": "ETH-USD"})

    assert (reply.status, reply.body["code"], reply.fields) == (422, "order.combination", ["orders.1.symbol"])
