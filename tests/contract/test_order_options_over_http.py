"""Icebergs, self-trade prevention and times in force, as an outside client sees them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from exchange.stores import history
from exchange.stores.database import Database
from exchange.stores.markets import Markets
from exchange.times import time_text
from tests.edge import Edge, edge
from tests.until import until
from tests.venues import Venue, venue


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture
def pit(floor: Edge) -> Venue:
    return venue(floor)


def shown(pit: Venue, side: str, levels: list[list[object]]) -> bool:
    """Tell whether the public book comes to have these levels."""
    return until(lambda: bool(pit.part("/book")[side] == levels), 5)


def test_an_iceberg_shows_its_slice_and_sells_all_of_it(pit: Venue) -> None:
    iceberg = pit.placed("alice", "sell", "10", "100", display_quantity="2")
    assert (iceberg["display_quantity"], iceberg["remaining_quantity"]) == ("2.000", "10.000")
    assert shown(pit, "asks", [["100.00", "2.000", 1]])

    pit.placed("bob", "buy", "3", "100")
    assert shown(pit, "asks", [["100.00", "1.000", 1]])
    assert pit.order("alice", iceberg)["remaining_quantity"] == "7.000"
    assert pit.balance("alice", pit.base) == ("990.00000000", "7.00000000")

    rest = pit.placed("bob", "buy", "9", "100")
    assert (rest["status"], rest["filled_quantity"]) == ("partially_filled", "7.000")
    assert shown(pit, "asks", [])
    assert pit.state("alice", iceberg) == ("filled", None)


def test_the_book_of_the_tables_hides_and_leaves_out_the_same(pit: Venue) -> None:
    pit.placed("alice", "sell", "10", "100", display_quantity="2")
    pit.placed("alice", "sell", "1", "90", type="stop_limit", stop_price="95")

    database = Database(pit.floor.database_url)
    book = history.book(database, Markets(database).existing(pit.symbol), 5)
    database.close()

    assert (book["asks"], book["bids"]) == ([["100.00", "2.000", 1]], [])


def test_a_new_slice_goes_to_the_back_of_its_level(pit: Venue) -> None:
    iceberg = pit.placed("alice", "sell", "4", "100", display_quantity="1")
    plain = pit.placed("maker", "sell", "1", "100")

    pit.placed("bob", "buy", "2", "100")

    assert pit.fills("alice", iceberg) == [("100.00", "1.000")]
    assert pit.fills("maker", plain) == [("100.00", "1.000")]


def test_a_fok_order_counts_what_an_iceberg_hides(pit: Venue) -> None:
    pit.placed("alice", "sell", "10", "100", display_quantity="1")

    assert pit.placed("bob", "buy", "10", "100", time_in_force="fok")["status"] == "filled"


@pytest.mark.parametrize(
    ("mode", "resting", "incoming"),
    [
        ("cancel_newest", ("new", None), ("canceled", "self_trade")),
        ("cancel_oldest", ("canceled", "self_trade"), ("new", None)),
        ("cancel_both", ("canceled", "self_trade"), ("canceled", "self_trade")),
    ],
)
def test_the_taker_s_mode_says_which_of_two_own_orders_gives_way(
    pit: Venue, mode: str, resting: tuple[str, str | None], incoming: tuple[str, str | None]
) -> None:
    first = pit.placed("alice", "sell", "1", "100", self_trade_prevention="decrement")

    second = pit.placed("alice", "buy", "1", "100", self_trade_prevention=mode)

    assert pit.state("alice", first) == resting
    assert (second["status"], second["reason"]) == incoming
    assert second["self_trade_prevention"] == mode
    assert pit.part("/trades")["data"] == []


def test_decrement_takes_as_much_from_both_and_shows_it_on_both(pit: Venue) -> None:
    first = pit.placed("alice", "sell", "3", "100")
    assert "prevented_quantity" not in first

    second = pit.placed("alice", "buy", "2", "100", self_trade_prevention="decrement")

    after = pit.order("alice", first)
    assert (second["status"], second["reason"], second["prevented_quantity"]) == ("canceled", "self_trade", "2.000")
    assert (second["filled_quantity"], second["remaining_quantity"]) == ("0.000", "0.000")
    assert (after["status"], after["prevented_quantity"], after["remaining_quantity"]) == ("new", "2.000", "1.000")
    assert after["quantity"] == "3.000"
    assert pit.balance("alice", pit.base) == ("999.00000000", "1.00000000")
    assert shown(pit, "asks", [["100.00", "1.000", 1]])


def test_a_fok_order_never_counts_an_own_one(pit: Venue) -> None:
    pit.placed("alice", "sell", "1", "100")
    pit.placed("maker", "sell", "1", "101")

    fok = {"time_in_force": "fok"}
    oldest = pit.placed("alice", "buy", "2", "101", self_trade_prevention="cancel_oldest", **fok)
    newest = pit.placed("alice", "buy", "1", "101", **fok)

    assert (oldest["status"], oldest["reason"]) == ("canceled", "fok_unfilled")
    assert (newest["status"], newest["reason"]) == ("canceled", "fok_unfilled")


def test_an_order_until_a_time_expires_when_it_comes(pit: Venue) -> None:
    expires = time_text(time.time_ns() // 1000 + 700_000)

    order = pit.placed("alice", "buy", "1", "50", time_in_force="gtd", expire_time=expires)

    assert (order["status"], order["time_in_force"], order["expire_time"]) == ("new", "gtd", expires)
    assert pit.balance("alice", pit.quote) == ("99950.00000000", "50.00000000")
    assert until(lambda: pit.state("alice", order) == ("expired", "expired"), 10)
    after = pit.order("alice", order)
    assert expires <= after["updated_time"] <= time_text(time.time_ns() // 1000)
    assert pit.balance("alice", pit.quote) == ("100000.00000000", "0.00000000")


def test_a_copy_of_an_expired_order_gets_it_and_a_new_one_for_a_past_time_is_refused(pit: Venue) -> None:
    past = {"time_in_force": "gtd", "expire_time": time_text(time.time_ns() // 1000 + 500_000)}
    first = pit.placed("alice", "buy", "1", "50", client_order_id=f"{pit.base}-late", **past)
    assert until(lambda: pit.state("alice", first)[0] == "expired", 10)

    copy = pit.place("alice", "buy", "1", "50", client_order_id=f"{pit.base}-late", **past)
    other = pit.place("alice", "buy", "2", "50", client_order_id=f"{pit.base}-late", **past)
    new = pit.place("alice", "buy", "1", "50", client_order_id=f"{pit.base}-new", **past)

    assert (copy.status, copy.body["replayed"], copy.body["order"]["status"]) == (201, True, "expired")
    assert (other.status, other.body["code"]) == (409, "order.duplicate_mismatch")
    assert (new.status, new.body["code"], new.fields) == (422, "request.invalid", ["expire_time"])


def test_an_order_for_the_day_rests(pit: Venue) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00.000000Z")

    order = pit.placed("alice", "buy", "1", "50", time_in_force="day")

    assert (order["status"], order["time_in_force"], order["expire_time"]) == ("new", "day", None)
    assert order["created_time"] < tomorrow


def test_a_batch_carries_every_kind(pit: Venue) -> None:
    base = {"symbol": pit.symbol, "side": "sell", "quantity": "1"}
    items = [
        {**base, "type": "limit", "price": "100", "display_quantity": "0.5"},
        {**base, "type": "stop", "stop_price": "90"},
        {**base, "type": "trailing_stop", "trailing_delta": "1"},
        {**base, "type": "limit", "price": "100", "time_in_force": "day", "post_only": True},
        {**base, "type": "stop", "stop_price": "90", "post_only": True},
    ]

    reply = pit.floor.call("alice", "POST", "/v1/orders/batch", {"orders": items})

    results = reply.body["results"]
    assert [result["status"] for result in results] == [201, 201, 201, 201, 422]
    assert [result["order"]["status"] for result in results[:4]] == [
        "new", "pending_trigger", "pending_trigger", "new",
    ]  # fmt: skip
    assert results[4]["problem"]["code"] == "order.combination"
