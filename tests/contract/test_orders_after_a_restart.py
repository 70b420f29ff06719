"""What waits, rests, hides or runs out goes on as it was when the matching service has been started again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from exchange.settings import Service
from exchange.times import time_text
from tests.edge import functions, keys
from tests.servers import postgres, valkey
from tests.serving import seeded, serving, settings, submitted
from tests.until import until
from tests.venues import Venue, venue


@dataclass(frozen=True, slots=True)
class Scene:
    """Markets and orders by name, each left as it was before the restart."""

    pits: dict[str, Venue]
    orders: dict[str, Any]

    def of(self, name: str) -> tuple[Venue, Any]:
        """Return a market and the order in it."""
        return self.pits[name], self.orders[name]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    given = settings(postgres(), valkey())
    before = left_behind(given)
    with serving(given) as engine, functions(given, engine) as floor:
        assert until(lambda: floor.call(None, "GET", "/v1/ready").status == 200, 20)
        yield Scene({name: replace(pit, floor=floor) for name, pit in before.pits.items()}, before.orders)


def left_behind(given: Service) -> Scene:
    with serving(given) as engine:
        seeded(engine)
        submitted(engine, *keys(given.key_encryption_key))
        with functions(given, engine) as floor:
            pits = {name: venue(floor, **more) for name, more in MARKETS.items()}
            return Scene(pits, {name: ENTERED[name](pit) for name, pit in pits.items()})


def trailing(pit: Venue) -> Any:
    pit.traded("100.00")
    order = pit.placed("alice", "sell", "1", type="trailing_stop", trailing_delta="5")
    pit.traded("110.00")
    return order


def iceberg(pit: Venue) -> Any:
    order = pit.placed("alice", "sell", "10", "100", display_quantity="2")
    pit.placed("bob", "buy", "3", "100")
    return order


def pair(pit: Venue) -> Any:
    pit.traded("100.00")
    legs = [
        {"symbol": pit.symbol, "side": "sell", "quantity": "2", "type": "limit", "price": "110"},
        {"symbol": pit.symbol, "side": "sell", "quantity": "2", "type": "stop", "stop_price": "95"},
    ]
    reply = pit.floor.call("alice", "POST", "/v1/orders/oco", {"orders": legs})
    assert reply.status == 201, reply.body
    return reply.body["orders"]


def dead_man(pit: Venue) -> Any:
    order = pit.placed("maker", "buy", "1", "50")
    assert pit.floor.call("maker", "POST", "/v1/orders/cancel-all-after", {"timeout_ms": 6000}).status == 200
    return order


def expiring(pit: Venue) -> Any:
    expires = time_text(time.time_ns() // 1000 + 6_000_000)
    return pit.placed("alice", "buy", "1", "50", time_in_force="gtd", expire_time=expires)


def auction(pit: Venue) -> Any:
    pit.change(status="auction")
    pit.placed("bob", "buy", "3", "100")
    return pit.placed("alice", "sell", "2", "100")


def amended(pit: Venue) -> Any:
    order = pit.placed("alice", "buy", "3", "100", client_order_id=f"{pit.base}-amended")
    path = f"/v1/orders/{order['order_id']}"
    return pit.floor.call("alice", "PATCH", path, {"quantity": "2", "price": "101"}).body["order"]


def banded(pit: Venue) -> Any:
    pit.traded("100.00")


ENTERED = {
    "trailing": trailing, "iceberg": iceberg, "pair": pair, "dead_man": dead_man, "expiring": expiring,
    "auction": auction, "amended": amended, "banded": banded,
}  # fmt: skip
MARKETS: dict[str, dict[str, Any]] = {name: {} for name in ENTERED} | {"banded": {"price_band": "0.1"}}


def test_a_trailing_stop_keeps_the_highest_price_that_it_saw(scene: Scene) -> None:
    pit, order = scene.of("trailing")
    pit.traded("105.01")
    assert pit.state("alice", order) == ("pending_trigger", None)
    pit.placed("bob", "buy", "1", "104")

    pit.traded("105.00")

    assert pit.fills("alice", order) == [("104.00", "1.000")]


def test_an_iceberg_shows_what_was_left_of_its_slice(scene: Scene) -> None:
    pit, order = scene.of("iceberg")

    assert until(lambda: bool(pit.part("/book")["asks"] == [["100.00", "1.000", 1]]), 5)
    assert pit.placed("bob", "buy", "7", "100")["status"] == "filled"
    assert pit.state("alice", order) == ("filled", None)


def test_a_pair_is_still_a_pair(scene: Scene) -> None:
    pit, (profit, stop) = scene.of("pair")

    pit.placed("bob", "buy", "2", "110")

    assert pit.state("alice", profit) == ("filled", None)
    assert pit.state("alice", stop) == ("canceled", "oco")
    assert pit.balance("alice", pit.base) == ("998.00000000", "0.00000000")


def test_an_auction_goes_on_collecting_and_ends_at_one_price(scene: Scene) -> None:
    pit, order = scene.of("auction")
    assert until(lambda: bool(pit.part("/ticker").get("indicative_quantity") == "2.000"), 5)

    pit.change(status="open")

    assert pit.fills("alice", order) == [("100.00", "2.000")]


def test_an_amended_order_is_as_it_was_amended_and_its_id_still_that_of_its_first_request(scene: Scene) -> None:
    pit, order = scene.of("amended")

    copy = pit.place("alice", "buy", "3", "100", client_order_id=f"{pit.base}-amended")

    assert (copy.status, copy.body["replayed"], copy.body["order"]) == (201, True, order)
    pit.placed("maker", "sell", "1", "101")
    assert pit.order("alice", order)["remaining_quantity"] == "1.000"


def test_a_band_lies_around_the_price_that_was_traded_before(scene: Scene) -> None:
    pit = scene.pits["banded"]

    refused = pit.place("alice", "buy", "1", "110.01")

    assert (refused.status, refused.body["code"]) == (422, "order.price_band")


def test_the_dead_man_s_switch_fires_and_what_is_dated_expires(scene: Scene) -> None:
    switch, silent = scene.of("dead_man")
    pit, dated = scene.of("expiring")

    assert until(lambda: switch.state("maker", silent) == ("canceled", "dead_man"), 15)
    assert until(lambda: pit.state("alice", dated) == ("expired", "expired"), 15)
