"""Orders changed while they are open: what keeps its place, what trades, what is refused and changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alb import Reply, event
from tests.edge import KEYS, Edge, edge
from tests.until import until
from tests.venues import Venue, venue


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture
def pit(floor: Edge) -> Venue:
    return venue(floor)


def amend(pit: Venue, who: str, order: Any, **changes: Any) -> Reply:
    return pit.floor.call(who, "PATCH", f"/v1/orders/{order['order_id']}", changes)


def test_less_quantity_at_the_same_price_keeps_its_place_and_frees_what_it_held(pit: Venue) -> None:
    first = pit.placed("alice", "buy", "3", "100")
    second = pit.placed("bob", "buy", "1", "100")

    reply = amend(pit, "alice", first, quantity="1.0")

    assert reply.status == 200
    assert reply.body == {"order": reply.body["order"], "fills": [], "priority_kept": True}
    order = reply.body["order"]
    assert order == {
        **first, "quantity": "1.000", "remaining_quantity": "1.000", "sequence": order["sequence"],
        "updated_time": order["updated_time"],
    }  # fmt: skip
    assert order["sequence"] > first["sequence"]
    assert pit.order("alice", first) == order
    assert pit.balance("alice", pit.quote) == ("99900.00000000", "100.00000000")
    pit.placed("maker", "sell", "1", "100")
    assert (pit.state("alice", first)[0], pit.state("bob", second)[0]) == ("filled", "new")


@pytest.mark.parametrize("changes", [{"quantity": "2"}, {"price": "100.01"}, {"quantity": "0.5", "price": "100.01"}])
def test_more_quantity_or_another_price_goes_to_the_back(pit: Venue, changes: dict[str, str]) -> None:
    first = pit.placed("alice", "buy", "1", "100")
    second = pit.placed("bob", "buy", "1", changes.get("price", "100"))

    reply = amend(pit, "alice", first, **changes)

    assert (reply.status, reply.body["priority_kept"]) == (200, False)
    pit.placed("maker", "sell", "1", changes.get("price", "100"))
    assert (pit.state("alice", first)[0], pit.state("bob", second)[0]) == ("new", "filled")


def test_equal_values_change_nothing(pit: Venue) -> None:
    first = pit.placed("alice", "buy", "1", "100")
    second = pit.placed("bob", "buy", "1", "100")

    reply = amend(pit, "alice", first, quantity="1.000", price="100.0")

    assert (reply.status, reply.body["priority_kept"], reply.body["fills"]) == (200, True, [])
    unchanged = ("quantity", "price", "status", "remaining_quantity", "client_order_id")
    assert [reply.body["order"][name] for name in unchanged] == [first[name] for name in unchanged]
    pit.placed("maker", "sell", "1", "100")
    assert (pit.state("alice", first)[0], pit.state("bob", second)[0]) == ("filled", "new")


def test_a_price_that_crosses_trades_at_once_and_the_book_shows_the_rest(pit: Venue) -> None:
    resting = pit.placed("maker", "sell", "1", "101")
    order = pit.placed("alice", "buy", "3", "100")

    reply = amend(pit, "alice", order, price="102")

    [fill] = reply.body["fills"]
    assert (fill["price"], fill["quantity"], fill["liquidity"]) == ("101.00", "1.000", "taker")
    assert (reply.body["order"]["status"], reply.body["order"]["remaining_quantity"]) == ("partially_filled", "2.000")
    assert pit.state("maker", resting) == ("filled", None)
    assert pit.balance("alice", pit.quote) == ("99695.00000000", "204.00000000")
    assert until(lambda: pit.part("/book")["bids"] == [["102.00", "2.000", 1]], 5)


def test_an_order_that_an_amendment_fills_is_answered_filled(pit: Venue) -> None:
    pit.placed("maker", "sell", "1", "101")
    order = pit.placed("alice", "buy", "1", "100")

    reply = amend(pit, "alice", order, price="101")

    assert (reply.status, reply.body["order"]["status"], len(reply.body["fills"])) == (200, "filled", 1)
    again = amend(pit, "alice", order, price="102")
    assert (again.status, again.body["code"]) == (422, "order.not_cancelable")


def test_a_copy_of_an_amendment_gets_its_first_answer(pit: Venue) -> None:
    pit.placed("maker", "sell", "1", "101")
    order = pit.placed("alice", "buy", "3", "100")
    given = event("PATCH", f"/v1/orders/{order['order_id']}", {"price": "101"}, key=KEYS["alice"])

    first, copy = pit.floor.send(given), pit.floor.send(given)

    assert (first.status, len(first.body["fills"]), first.body["priority_kept"]) == (200, 1, False)
    assert (copy.status, copy.body) == (200, {**first.body, "replayed": True})


def test_the_id_of_an_amended_order_still_names_the_request_that_entered_it(pit: Venue) -> None:
    fields = {"client_order_id": f"{pit.base}-amended"}
    order = pit.placed("alice", "buy", "3", "100", **fields)
    amended = amend(pit, "alice", order, quantity="2").body["order"]

    copy = pit.place("alice", "buy", "3", "100", **fields)
    other = pit.place("alice", "buy", "2", "100", **fields)

    assert (copy.status, copy.body["order"], copy.body["replayed"]) == (201, amended, True)
    assert (other.status, other.body["code"]) == (409, "order.duplicate_mismatch")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"price": "100.001"}, "order.price_tick", "price"),
        ({"quantity": "1.0001"}, "order.lot_size", "quantity"),
        ({"quantity": "10000000000"}, "request.invalid", "quantity"),
        ({"price": "10000000000"}, "request.invalid", "price"),
        ({"price": "999999999999999999"}, "request.invalid", "price"),
        ({"quantity": "1001"}, "order.max_quantity", None),
        ({"quantity": "999"}, "order.insufficient_funds", None),
        ({"price": "60000"}, "order.insufficient_funds", None),
    ],
)
def test_a_refused_amendment_changes_nothing(pit: Venue, changes: dict[str, str], code: str, field: str | None) -> None:
    order = pit.placed("alice", "buy", "2", "150")
    before = pit.balance("alice", pit.quote)

    reply = amend(pit, "alice", order, **changes)

    assert (reply.status, reply.body["code"]) == (422, code)
    assert field is None or field in reply.fields
    after = pit.order("alice", order)
    assert {**after, "sequence": 0, "updated_time": ""} == {**order, "sequence": 0, "updated_time": ""}
    assert pit.balance("alice", pit.quote) == before


def test_a_quantity_that_is_filled_already_is_refused(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "3", "100")
    pit.placed("maker", "sell", "2", "100")

    for quantity in ("1", "2"):
        reply = amend(pit, "alice", order, quantity=quantity)
        assert reply.status == 422, reply.body
        assert pit.order("alice", order)["quantity"] == "3.000"
    assert amend(pit, "alice", order, quantity="2.5").body["order"]["remaining_quantity"] == "0.500"


def test_an_order_that_only_makes_is_refused_where_it_would_cross(pit: Venue) -> None:
    pit.placed("maker", "sell", "1", "101")
    order = pit.placed("alice", "buy", "1", "100", post_only=True)

    reply = amend(pit, "alice", order, price="101")

    assert (reply.status, reply.body["code"]) == (422, "order.would_cross")
    assert pit.order("alice", order)["price"] == "100.00"


def test_an_order_that_is_not_there_or_another_s_is_not_found(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "1", "100")

    for reply in (amend(pit, "bob", order, price="99"), amend(pit, "alice", {"order_id": "1-" + "a" * 26}, price="99")):
        assert (reply.status, reply.body["code"]) == (404, "resource.not_found")
    assert amend(pit, "alice", {"order_id": "nothing"}, price="99").status == 404


def test_a_waiting_stop_limit_is_amended_and_goes_on_waiting(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "2", "94", type="stop_limit", stop_price="95")

    reply = amend(pit, "alice", stop, quantity="1", price="93")

    assert reply.status == 200, reply.body
    order = reply.body["order"]
    assert (order["status"], order["quantity"], order["price"]) == ("pending_trigger", "1.000", "93.00")
    assert pit.balance("alice", pit.base) == ("999.00000000", "1.00000000")


def test_an_iceberg_is_amended_below_its_slice(pit: Venue) -> None:
    order = pit.placed("alice", "sell", "10", "100", display_quantity="2")

    reply = amend(pit, "alice", order, quantity="1")

    assert (reply.status, reply.body["order"]["remaining_quantity"]) == (200, "1.000")
    assert until(lambda: pit.part("/book")["asks"] == [["100.00", "1.000", 1]], 5)
