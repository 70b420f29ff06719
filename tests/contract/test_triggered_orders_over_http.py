"""Orders that wait for a price, as a client sees them: accepted, triggered by a trade, and what they do then."""

from collections.abc import Iterator

import pytest

from tests.edge import Edge, edge
from tests.until import until
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


def newest(pit: Venue) -> list[str]:
    return [trade["price"] for trade in pit.part("/trades", limit="3")["data"]]


def test_a_stop_waits_with_its_hold_and_sells_into_the_book_when_its_price_is_traded(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "2", type="stop", stop_price="95")
    pit.placed("bob", "buy", "1", "94")
    pit.placed("bob", "buy", "3", "93")

    assert (stop["status"], stop["stop_price"], stop["price"], stop["time_in_force"]) == (
        "pending_trigger", "95.00", None, "gtc",
    )  # fmt: skip
    assert pit.balance("alice", pit.base) == ("998.00000000", "2.00000000")
    pit.traded("95.01")
    assert pit.state("alice", stop) == ("pending_trigger", None)
    pit.traded("95.00")

    after = pit.order("alice", stop)
    assert (after["status"], after["filled_quantity"], after["average_price"]) == ("filled", "2.000", "93.50000000")
    assert pit.fills("alice", stop) == [("94.00", "1.000"), ("93.00", "1.000")]
    assert until(lambda: newest(pit) == ["93.00", "94.00", "95.00"], 5)
    assert pit.balance("alice", pit.base) == ("998.00000000", "0.00000000")


def test_a_stop_that_buys_is_triggered_from_below_and_holds_nothing_before(pit: Venue) -> None:
    stop = pit.placed("alice", "buy", "1", type="stop", stop_price="105")
    pit.placed("maker", "sell", "1", "106")

    assert pit.balance("alice", pit.quote) == ("100000.00000000", "0.00000000")
    pit.traded("104.99")
    assert pit.state("alice", stop) == ("pending_trigger", None)
    pit.traded("105.00")

    assert pit.state("alice", stop) == ("filled", None)
    assert pit.balance("alice", pit.quote) == ("99894.00000000", "0.00000000")


def test_a_stop_that_cannot_be_paid_when_it_is_triggered_is_canceled(pit: Venue) -> None:
    stop = pit.placed("alice", "buy", "900", type="stop", stop_price="105")
    pit.placed("maker", "sell", "900", "120")

    pit.traded("105.00")

    assert pit.state("alice", stop) == ("canceled", "insufficient_funds")


def test_a_stop_limit_rests_at_its_price_once_triggered(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "2", "94", type="stop_limit", stop_price="95")

    pit.traded("95.00")

    after = pit.order("alice", stop)
    assert (after["status"], after["remaining_quantity"], after["stop_price"]) == ("new", "2.000", "95.00")
    assert pit.fills("bob", pit.placed("bob", "buy", "2", "94")) == [("94.00", "2.000")]


def test_a_stop_limit_to_buy_holds_at_its_limit_price_from_the_start(pit: Venue) -> None:
    pit.placed("alice", "buy", "2", "107", type="stop_limit", stop_price="105")

    assert pit.balance("alice", pit.quote) == ("99786.00000000", "214.00000000")


@pytest.mark.parametrize(("kind", "price"), [("take_profit", None), ("take_profit_limit", "109")])
def test_a_profit_is_taken_when_the_price_rises_to_it(pit: Venue, kind: str, price: str | None) -> None:
    profit = pit.placed("alice", "sell", "1", price, type=kind, stop_price="110")
    pit.placed("bob", "buy", "1", "109.50")

    pit.traded("109.99")
    assert pit.state("alice", profit) == ("pending_trigger", None)
    pit.traded("110.00")

    assert pit.state("alice", profit) == ("filled", None)
    assert pit.fills("alice", profit) == [("109.50", "1.000")]


def test_a_trailing_stop_follows_the_price_up_and_never_down(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "1", type="trailing_stop", trailing_delta="5")
    assert (stop["status"], stop["trailing_delta"], stop["stop_price"]) == ("pending_trigger", "5.00", None)
    for price in ("96.00", "110.00", "105.01"):
        pit.traded(price)
        assert pit.state("alice", stop) == ("pending_trigger", None)
    pit.placed("bob", "buy", "1", "104")

    pit.traded("105.00")

    assert pit.fills("alice", stop) == [("104.00", "1.000")]


def test_a_triggered_order_triggers_the_next_within_the_same_command(pit: Venue) -> None:
    first = pit.placed("alice", "sell", "1", type="stop", stop_price="95")
    second = pit.placed("maker", "sell", "1", type="stop", stop_price="90")
    pit.placed("bob", "buy", "1", "90")
    pit.placed("bob", "buy", "1", "89")

    pit.traded("95.00")

    assert pit.fills("alice", first) == [("90.00", "1.000")]
    assert pit.fills("maker", second) == [("89.00", "1.000")]
    assert pit.order("alice", first)["sequence"] == pit.order("maker", second)["sequence"]


@pytest.mark.parametrize(
    ("kind", "side", "stop_price"),
    [("stop", "sell", "100"), ("stop", "buy", "100"), ("stop", "sell", "101"), ("stop", "buy", "99"),
     ("take_profit", "sell", "100"), ("take_profit", "buy", "101")],
)  # fmt: skip
def test_a_stop_on_the_wrong_side_of_the_market_is_refused_and_stored(
    pit: Venue, kind: str, side: str, stop_price: str
) -> None:
    refused = pit.place("alice", side, type=kind, stop_price=stop_price, client_order_id=f"{pit.base}-wrong")
    copy = pit.place("alice", side, type=kind, stop_price=stop_price, client_order_id=f"{pit.base}-wrong")

    assert (refused.status, refused.body["code"]) == (422, "order.would_trigger")
    assert (refused.body["order"]["status"], refused.body["order"]["reason"]) == ("rejected", "order.would_trigger")
    assert copy.body == {**refused.body, "request_id": copy.body["request_id"], "replayed": True}


def test_a_market_without_a_trade_lets_every_stop_wait(floor: Edge) -> None:
    silent = venue(floor)

    assert silent.placed("alice", "sell", type="stop", stop_price="95")["status"] == "pending_trigger"
    assert silent.placed("alice", "sell", type="trailing_stop", trailing_delta="1")["status"] == "pending_trigger"


def test_waiting_orders_are_open_ones_and_are_not_in_the_book(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "2", "94", type="stop_limit", stop_price="95")
    resting = pit.placed("alice", "sell", "1", "200")

    def listed(status: str) -> list[str]:
        query = {"status": status, "symbol": pit.symbol}
        found = pit.floor.call("alice", "GET", "/v1/orders", query=query)
        return [order["order_id"] for order in found.body["data"]]

    assert listed("pending_trigger") == [stop["order_id"]]
    assert listed("open") == [resting["order_id"], stop["order_id"]]
    assert listed("new") == [resting["order_id"]]
    book = pit.floor.call(None, "GET", f"/v1/markets/{pit.symbol}/book", query={"depth": "5"}).body
    assert [price for price, _, _ in book["asks"]] in ([], ["200.00"])


def test_a_waiting_order_is_canceled_like_any_other(pit: Venue) -> None:
    stop = pit.placed("alice", "sell", "2", type="stop", stop_price="95")

    canceled = pit.floor.call("alice", "DELETE", f"/v1/orders/{stop['order_id']}")

    assert (canceled.status, canceled.body["order"]["status"], canceled.body["order"]["reason"]) == (
        200, "canceled", "user",
    )  # fmt: skip
    assert pit.balance("alice", pit.base) == ("1000.00000000", "0.00000000")


def test_a_tested_stop_would_wait_and_leaves_no_trace(pit: Venue) -> None:
    body = {"symbol": pit.symbol, "side": "sell", "type": "stop", "quantity": "1", "stop_price": "95"}

    tested = pit.floor.call("alice", "POST", "/v1/orders/test", body)
    wrong = pit.floor.call("alice", "POST", "/v1/orders/test", {**body, "stop_price": "101"})

    assert (tested.status, tested.body["order"]["status"]) == (200, "pending_trigger")
    assert (wrong.status, wrong.body["code"]) == (422, "order.would_trigger")
    assert pit.balance("alice", pit.base) == ("1000.00000000", "0.00000000")


def test_a_copy_of_a_stop_gets_the_order_as_it_is_by_then(pit: Venue) -> None:
    fields = {"type": "stop", "stop_price": "95", "client_order_id": f"{pit.base}-twice"}
    first = pit.place("alice", "sell", "1", **fields)
    pit.placed("bob", "buy", "1", "94")
    pit.traded("95.00")

    copy = pit.place("alice", "sell", "1", **fields)

    assert (first.status, copy.status, copy.body["replayed"], copy.body["fills"]) == (201, 201, True, [])
    assert copy.body["order"]["status"] == "filled"


def test_a_stop_for_a_day_waits_and_one_until_a_date_shows_it(pit: Venue) -> None:
    day = pit.placed("alice", "sell", type="stop", stop_price="95", time_in_force="day")
    until = "2027-01-01T00:00:00.000000Z"
    dated = pit.placed("alice", "sell", type="stop", stop_price="95", time_in_force="gtd", expire_time=until)

    assert (day["status"], day["time_in_force"], day["expire_time"]) == ("pending_trigger", "day", None)
    assert (dated["status"], dated["time_in_force"], dated["expire_time"]) == ("pending_trigger", "gtd", until)
