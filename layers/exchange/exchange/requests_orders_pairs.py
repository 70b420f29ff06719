"""Requests for OCO pairs: which two orders can cancel each other, and the one command that enters both."""

from typing import Annotated, Any

from pydantic import Field

from exchange.commands import PlacePair
from exchange.errors import Rejected
from exchange.forms import Form, bad_fields
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce
from exchange.requests_orders_form import FieldRule

PROFIT_TYPES = (OrderType.LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
STOP_TYPES = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


class OcoForm(Form):
    """Two orders of which one cancels the other."""

    orders: Annotated[list[Any], Field(min_length=2, max_length=2)]


def of_leg(index: int, error: Rejected) -> Rejected:
    """Return what is wrong with one order of a pair, its fields named by its place."""
    fields = tuple((f"orders.{index}.{name}", rule) for name, rule in error.fields)
    return Rejected(error.code, error.detail, fields, error.status)


def place_pair(first: PlaceOrder, second: PlaceOrder) -> PlacePair:
    """Return the command; raise `Rejected` 422 naming what keeps one order from canceling the other."""
    problems = _identity_problems(first, second) or _type_problems(first, second) or _price_problems(first, second)
    if problems:
        raise bad_fields(tuple(problems), "order.combination")
    return PlacePair(first, second)


def _identity_problems(first: PlaceOrder, second: PlaceOrder) -> list[FieldRule]:
    found: list[FieldRule] = []
    if first.symbol != second.symbol:
        found.append(("orders.1.symbol", "must be that of the other order"))
    if first.side is not second.side:
        found.append(("orders.1.side", "must be that of the other order"))
    if first.client_order_id == second.client_order_id:
        found.append(("orders.1.client_order_id", "must not be that of the other order"))
    return found


def _type_problems(first: PlaceOrder, second: PlaceOrder) -> list[FieldRule]:
    legs = (first, second)
    found: list[FieldRule] = [
        (f"orders.{index}.type", f"{leg.type} cannot be one of two orders")
        for index, leg in enumerate(legs)
        if leg.type not in (*PROFIT_TYPES, *STOP_TYPES)
    ]
    if not found and (first.type in STOP_TYPES) is (second.type in STOP_TYPES):
        rule = f"must be one of {', '.join(PROFIT_TYPES if first.type in STOP_TYPES else STOP_TYPES)}"
        found.append(("orders.1.type", f"{rule} beside {first.type}"))
    found += [
        (f"orders.{index}.time_in_force", f"{leg.time_in_force} does not go with type limit in a pair")
        for index, leg in enumerate(legs)
        if leg.type is OrderType.LIMIT and leg.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    ]
    return found


def _price_problems(first: PlaceOrder, second: PlaceOrder) -> list[FieldRule]:
    """Name the stop where the market could not lie between it and the price of the other order."""
    index, stop, profit = (0, first, second) if first.type in STOP_TYPES else (1, second, first)
    name = "price" if profit.type is OrderType.LIMIT else "stop_price"
    wanted = profit.price_ticks if profit.type is OrderType.LIMIT else profit.stop_price_ticks
    if stop.stop_price_ticks is None or wanted is None:
        return []
    if stop.side is Side.SELL and stop.stop_price_ticks >= wanted:
        return [(f"orders.{index}.stop_price", f"must be below the {name} of the other order to sell")]
    if stop.side is Side.BUY and stop.stop_price_ticks <= wanted:
        return [(f"orders.{index}.stop_price", f"must be above the {name} of the other order to buy")]
    return []
