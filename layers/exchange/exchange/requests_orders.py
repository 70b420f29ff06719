"""Requests for orders, single and in batches: the exact commands that they become; it never asks the engine."""

from typing import Annotated, Any

from msgspec import Struct
from pydantic import Field

from exchange.amounts import MAX_DECIMALS, POWERS, UNITS_BOUND
from exchange.errors import Rejected, invalid_field
from exchange.forms import Form, bad_fields
from exchange.markets import Market
from exchange.orders import (
    OrderType,
    PlaceOrder,
    SelfTradePrevention,
    Side,
    TimeInForce,
    id_of_signature,
    order_id_of,
)
from exchange.requests_orders_form import FieldRule, PlaceOrderForm, time_in_force_of

MOST_BATCHED = 50


class BatchForm(Form):
    """Several orders, each judged by itself later."""

    orders: Annotated[list[Any], Field(min_length=1, max_length=MOST_BATCHED)]


class Origin(Struct, frozen=True):
    """Where an order comes from: what its ids are made of, and when it arrived, in microseconds."""

    cell: int
    account_id: str
    signature: str
    index: int
    arrived: int


# Calling an enum costs seven times a look-up.
_SIDES = {str(side): side for side in Side}
_TYPES = {str(kind): kind for kind in OrderType}
_TIMES_IN_FORCE = {str(time): time for time in TimeInForce}
_PREVENTIONS = {str(prevention): prevention for prevention in SelfTradePrevention}


def place_order(form: PlaceOrderForm, market: Market, origin: Origin) -> PlaceOrder:
    """Return the command; raise `Rejected` where a value is off the market's steps or too large."""
    ticks, lots, quote_quantity = _values(form, market)
    client_order_id = form.client_order_id or id_of_signature(origin.signature, origin.index)
    return PlaceOrder(
        order_id=order_id_of(origin.cell, origin.account_id, client_order_id),
        account_id=origin.account_id,
        client_order_id=client_order_id,
        symbol=market.symbol,
        side=_SIDES[form.side],
        type=_TYPES[form.type],
        quantity_lots=lots.get("quantity"),
        price_ticks=ticks.get("price"),
        time_in_force=_TIMES_IN_FORCE[time_in_force_of(form)],
        quote_quantity=quote_quantity,
        post_only=bool(form.post_only),
        self_trade_prevention=_PREVENTIONS[form.self_trade_prevention or "cancel_newest"],
        stop_price_ticks=ticks.get("stop_price"),
        trailing_delta_ticks=ticks.get("trailing_delta"),
        display_lots=lots.get("display_quantity"),
        expire_time=form.expire_time,
        queue_deadline_ms=form.queue_deadline_ms,
    )


def unknown_symbol(symbol: str) -> Rejected:
    """Return the 422 for a symbol in a body that no market has."""
    return invalid_field("symbol", f"must be that of a market, not {symbol[:40]!r}")


def _values(form: PlaceOrderForm, market: Market) -> tuple[dict[str, int], dict[str, int], int | None]:
    """Return prices in ticks, quantities in lots and the quote quantity in units, all within bounds."""
    ticks, lots = _steps(form, market)
    quote_quantity = _quote_units(form.quote_quantity, market)
    _check_bounds(ticks, lots.get("quantity"), quote_quantity, market)
    return ticks, lots, quote_quantity


def _steps(form: PlaceOrderForm, market: Market) -> tuple[dict[str, int], dict[str, int]]:
    """Return prices in ticks and quantities in lots; raise `Rejected` for what is between two of them."""
    ticks, off_tick = _divided(form, ("price", "stop_price", "trailing_delta"), market.tick_size, "tick_size")
    lots, off_lot = _divided(form, ("quantity", "display_quantity"), market.lot_size, "lot_size")
    if off_tick:
        raise bad_fields((*off_tick, *off_lot), "order.price_tick")
    if off_lot:
        raise bad_fields(off_lot, "order.lot_size")
    return ticks, lots


def _divided(form: Form, names: tuple[str, ...], step: int, rule: str) -> tuple[dict[str, int], tuple[FieldRule, ...]]:
    steps: dict[str, int] = {}
    off: list[FieldRule] = []
    for name in names:
        scaled = getattr(form, name)
        if scaled is None:
            continue
        steps[name], rest = divmod(scaled, step)
        if rest:
            off.append((name, f"must be a multiple of the market's {rule}"))
    return steps, tuple(off)


def _quote_units(scaled: int | None, market: Market) -> int | None:
    if scaled is None:
        return None
    units, rest = divmod(scaled, POWERS[MAX_DECIMALS - market.quote_decimals])
    if rest:
        raise invalid_field("quote_quantity", f"must have at most {market.quote_decimals} decimals")
    return units


def _check_bounds(ticks: dict[str, int], quantity_lots: int | None, quote_quantity: int | None, market: Market) -> None:
    """Refuse what reaches 10^18 units of an asset, at whichever of its prices."""
    rule = "must be less than 10^18 units of the asset"
    if quote_quantity is not None and quote_quantity >= UNITS_BOUND:
        raise invalid_field("quote_quantity", rule)
    if quantity_lots is None:
        return
    if quantity_lots * market.base_units_per_lot >= UNITS_BOUND:
        raise invalid_field("quantity", rule)
    for name, price_ticks in ticks.items():
        if price_ticks * quantity_lots * market.quote_units_per_tick_lot >= UNITS_BOUND:
            rule = f"{name} x quantity must be less than 10^18 units of the quote asset"
            raise bad_fields((("quantity", rule), (name, rule)))
