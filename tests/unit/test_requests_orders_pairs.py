"""OCO pairs and changes of orders as clients ask for them: what can be a pair, and the commands that come of them."""

from typing import Any

import pytest

from exchange.commands import AmendOrder, CancelAllAfter, PlacePair
from exchange.errors import Rejected
from exchange.orders import PlaceOrder
from exchange.requests_orders_changes import amend_order, cancel_all_after
from exchange.requests_orders_pairs import of_leg, place_pair
from tests.unit.test_requests_orders import command

LIMIT = {"symbol": "BTC-USD", "side": "sell", "type": "limit", "quantity": "1", "price": "110"}
PROFIT = {"symbol": "BTC-USD", "side": "sell", "type": "take_profit", "quantity": "1", "stop_price": "110"}
STOP = {"symbol": "BTC-USD", "side": "sell", "type": "stop", "quantity": "1", "stop_price": "90"}
STOP_LIMIT = {**STOP, "type": "stop_limit", "price": "89"}
TRAILING = {"symbol": "BTC-USD", "side": "sell", "type": "trailing_stop", "quantity": "1", "trailing_delta": "5"}
MARKET = {"symbol": "BTC-USD", "side": "sell", "type": "market", "quantity": "1"}


def legs(first: dict[str, Any], second: dict[str, Any]) -> tuple[PlaceOrder, PlaceOrder]:
    return command(first, index=0), command(second, index=1)


def bought(order: dict[str, Any]) -> dict[str, Any]:
    """The same order mirrored around 100."""
    prices: dict[str, Any] = {name: str(200 - int(order[name])) for name in ("price", "stop_price") if name in order}
    return {**order, **prices, "side": "buy"}


@pytest.mark.parametrize("profit", [LIMIT, {**LIMIT, "post_only": True}, {**LIMIT, "display_quantity": "0.5"}, PROFIT,
                                    {**PROFIT, "type": "take_profit_limit", "price": "111"}])  # fmt: skip
@pytest.mark.parametrize("stop", [STOP, STOP_LIMIT, TRAILING, {**STOP, "quantity": "2"}])
def test_a_profit_and_a_stop_on_either_side_of_the_market_are_a_pair(
    profit: dict[str, Any], stop: dict[str, Any]
) -> None:
    for pair in (legs(profit, stop), legs(stop, profit), legs(bought(profit), bought(stop))):
        assert place_pair(*pair) == PlacePair(*pair)


@pytest.mark.parametrize(
    ("first", "second", "fields"),
    [
        (LIMIT, {**STOP, "side": "buy"}, ["orders.1.side"]),
        (LIMIT, LIMIT, ["orders.1.type"]),
        (LIMIT, PROFIT, ["orders.1.type"]),
        (STOP, STOP_LIMIT, ["orders.1.type"]),
        (STOP, TRAILING, ["orders.1.type"]),
        (MARKET, STOP, ["orders.0.type"]),
        (LIMIT, MARKET, ["orders.1.type"]),
        (MARKET, MARKET, ["orders.0.type", "orders.1.type"]),
        ({**LIMIT, "time_in_force": "ioc"}, STOP, ["orders.0.time_in_force"]),
        (STOP, {**LIMIT, "time_in_force": "fok"}, ["orders.1.time_in_force"]),
        ({**LIMIT, "client_order_id": "a"}, {**STOP, "client_order_id": "a"}, ["orders.1.client_order_id"]),
        (LIMIT, {**STOP, "stop_price": "110"}, ["orders.1.stop_price"]),
        ({**STOP, "stop_price": "120"}, LIMIT, ["orders.0.stop_price"]),
        (PROFIT, {**STOP, "stop_price": "111"}, ["orders.1.stop_price"]),
        (bought(LIMIT), {**bought(STOP), "stop_price": "90"}, ["orders.1.stop_price"]),
    ],
)
def test_two_orders_of_which_one_cannot_cancel_the_other_are_refused_by_name(
    first: dict[str, Any], second: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(Rejected) as raised:
        place_pair(*legs(first, second))

    assert (raised.value.status, raised.value.code) == (422, "order.combination")
    assert [name for name, _ in raised.value.fields] == fields


def test_what_is_wrong_with_one_order_of_a_pair_is_named_by_its_place() -> None:
    with pytest.raises(Rejected) as raised:
        command({**LIMIT, "price": "1.001"})

    refused = of_leg(1, raised.value)

    assert (refused.status, refused.code) == (422, "order.price_tick")
    assert refused.fields == (("orders.1.price", "must be a multiple of the market's tick_size"),)


def test_an_amendment_says_what_is_to_change_and_no_more() -> None:
    assert amend_order({"quantity": "1.5"}, "x_1", "acc", "1-a") == AmendOrder("x_1", "acc", "1-a", 15 * 10**17, None)
    assert amend_order({"price": "2"}, "x_1", "acc", "1-a") == AmendOrder("x_1", "acc", "1-a", None, 2 * 10**18)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "quantity"), ({"quantity": None, "price": None}, "quantity"), ({"quantity": "0"}, "quantity"),
        ({"price": 1}, "price"), ({"price": "-1"}, "price"), ({"price": "1", "side": "buy"}, "side"), ([], "body"),
    ],
)  # fmt: skip
def test_an_amendment_that_could_not_be_is_refused_by_name(body: Any, field: str) -> None:
    with pytest.raises(Rejected) as raised:
        amend_order(body, "x_1", "acc", "1-a")

    assert (raised.value.status, raised.value.code) == (422, "request.invalid")
    assert [name for name, _ in raised.value.fields] == [field]


def test_the_dead_man_s_switch_is_armed_for_a_day_at_most() -> None:
    assert cancel_all_after({"timeout_ms": 86_400_000}, "x_1", "acc") == CancelAllAfter("x_1", "acc", 86_400_000)
    assert cancel_all_after({"timeout_ms": 0}, "x_1", "acc") == CancelAllAfter("x_1", "acc", 0)


@pytest.mark.parametrize("timeout_ms", [-1, 86_400_001, "1000", 1.5, True, None])
def test_a_time_that_is_none_is_refused(timeout_ms: Any) -> None:
    with pytest.raises(Rejected) as raised:
        cancel_all_after({"timeout_ms": timeout_ms}, "x_1", "acc")

    assert [name for name, _ in raised.value.fields] == ["timeout_ms"]
