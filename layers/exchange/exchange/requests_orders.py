"""Requests about orders: their forms, the rules between fields, the commands they become; it never asks the engine."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import Field, PlainValidator

from exchange.amounts import MAX_DECIMALS, POWERS, UNITS_BOUND
from exchange.errors import Rejected, invalid_field
from exchange.forms import Form, Moment, Positive, bad_fields, form_of, not_built
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
from exchange.symbols import CLIENT_ORDER_ID

MOST_BATCHED = 50
MOST_QUEUE_DEADLINE_MS = 3_600_000
MOST_TIMEOUT_MS = 86_400_000

Fields = tuple[tuple[str, str], ...]


def _client_order_id(value: object) -> str:
    if not isinstance(value, str) or not CLIENT_ORDER_ID.fullmatch(value) or value.startswith("x_"):
        raise ValueError("must be 1 to 36 of A-Z a-z 0-9 _ - and not begin with x_")
    return value


class PlaceOrderForm(Form):
    """One order as it is asked for; decimals are integers of 10^-18 here."""

    symbol: str
    side: Literal["buy", "sell"]
    type: Literal["limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit", "trailing_stop"]
    quantity: Positive | None = None
    quote_quantity: Positive | None = None
    price: Positive | None = None
    stop_price: Positive | None = None
    trailing_delta: Positive | None = None
    time_in_force: Literal["gtc", "ioc", "fok", "gtd", "day"] | None = None
    expire_time: Moment | None = None
    post_only: bool | None = None
    display_quantity: Positive | None = None
    self_trade_prevention: Literal["cancel_newest", "cancel_oldest", "cancel_both", "decrement"] | None = None
    client_order_id: Annotated[str, PlainValidator(_client_order_id)] | None = None
    queue_deadline_ms: Annotated[int, Field(ge=1, le=MOST_QUEUE_DEADLINE_MS)] | None = None


class BatchForm(Form):
    """Several orders, each judged by itself later."""

    orders: Annotated[list[Any], Field(min_length=1, max_length=MOST_BATCHED)]


class OcoForm(Form):
    """Two orders of which one cancels the other."""

    orders: Annotated[list[Any], Field(min_length=2, max_length=2)]


class AmendForm(Form):
    """What an order is to become."""

    quantity: Positive | None = None
    price: Positive | None = None


class CancelAllAfterForm(Form):
    """The dead man's switch; 0 disarms it."""

    timeout_ms: Annotated[int, Field(ge=0, le=MOST_TIMEOUT_MS)]


class Origin(Struct, frozen=True):
    """Where an order comes from: what its ids are made of, and when it arrived, in microseconds."""

    cell: int
    account_id: str
    signature: str
    index: int
    arrived: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one type of order must have, what it may have beside that, what it must not have, how long it may stay."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    excluded: tuple[str, ...]
    times_in_force: tuple[str, ...]


_CHOSEN = (
    "quantity",
    "quote_quantity",
    "price",
    "stop_price",
    "trailing_delta",
    "expire_time",
    "post_only",
    "display_quantity",
)


def _shape(required: tuple[str, ...], optional: tuple[str, ...], times_in_force: tuple[str, ...]) -> _Shape:
    excluded = tuple(name for name in _CHOSEN if name not in (*required, *optional))
    return _Shape(required, optional, excluded, times_in_force)


_RESTING = ("gtc", "ioc", "fok", "gtd", "day")
_LIMIT_OPTIONS = ("post_only", "display_quantity", "expire_time")
_SHAPES = {
    "limit": _shape(("quantity", "price"), _LIMIT_OPTIONS, _RESTING),
    "market": _shape((), ("quantity", "quote_quantity"), ("ioc", "fok")),
    "stop": _shape(("quantity", "stop_price"), ("expire_time",), _RESTING),
    "stop_limit": _shape(("quantity", "stop_price", "price"), _LIMIT_OPTIONS, _RESTING),
    "take_profit": _shape(("quantity", "stop_price"), ("expire_time",), _RESTING),
    "take_profit_limit": _shape(("quantity", "stop_price", "price"), _LIMIT_OPTIONS, _RESTING),
    "trailing_stop": _shape(("quantity", "trailing_delta"), ("expire_time",), _RESTING),
}
# Calling an enum costs four times a look-up.
_SIDES = {str(side): side for side in Side}
_TYPES = {str(kind): kind for kind in OrderType}
_TIMES_IN_FORCE = {str(time): time for time in TimeInForce}
_PREVENTIONS = {str(prevention): prevention for prevention in SelfTradePrevention}
_BUILT_TYPES = ("limit", "market")
_BUILT_TIMES = ("gtc", "ioc", "fok")


def order_form(value: Any, arrived: int) -> PlaceOrderForm:
    """Return a well-formed order; raise `Rejected` naming every bad field, or those that do not go together."""
    form = form_of(PlaceOrderForm, value)
    missing, clashing = _shape_problems(form)
    if form.expire_time is not None and form.expire_time <= arrived:
        missing.append(("expire_time", "must be in the future"))
    if missing:
        raise bad_fields((*missing, *clashing))
    if clashing:
        raise bad_fields(tuple(clashing), "order.combination")
    return form


def place_order(form: PlaceOrderForm, market: Market, origin: Origin) -> PlaceOrder:
    """Return the command; raise `Rejected` where a value is off the market's steps, too large, or not built yet."""
    ticks, lots, quote_quantity = _values(form, market)
    _check_built(form)
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
        time_in_force=_TIMES_IN_FORCE[_time_in_force(form)],
        quote_quantity=quote_quantity,
        post_only=bool(form.post_only),
        self_trade_prevention=_PREVENTIONS[form.self_trade_prevention or "cancel_newest"],
        stop_price_ticks=ticks.get("stop_price"),
        trailing_delta_ticks=ticks.get("trailing_delta"),
        display_lots=lots.get("display_quantity"),
        expire_time=form.expire_time,
        queue_deadline_ms=form.queue_deadline_ms,
    )


def amend_form(value: Any) -> AmendForm:
    """Return a well-formed amendment."""
    form = form_of(AmendForm, value)
    if form.quantity is None and form.price is None:
        raise bad_fields((("quantity", "or price is required"),))
    return form


def check_order(form: PlaceOrderForm, market: Market) -> None:
    """Raise `Rejected` where a value is off the market's steps or too large."""
    _values(form, market)


def check_amendment(form: AmendForm, placed: PlaceOrder, market: Market) -> None:
    """Raise `Rejected` where the order would have a value that is off the market's steps or too large."""
    ticks, lots = _steps(form, market)
    _check_bounds(ticks.get("price", placed.price_ticks), lots.get("quantity", placed.quantity_lots), None, market)


def check_pair(first: PlaceOrderForm, second: PlaceOrderForm) -> None:
    """Raise `Rejected` where one order cannot cancel the other."""
    if first.symbol != second.symbol:
        raise bad_fields((("orders.1.symbol", "must be that of the other order"),), "order.combination")


def unknown_symbol(symbol: str) -> Rejected:
    """Return the 422 for a symbol in a body that no market has."""
    return invalid_field("symbol", f"must be that of a market, not {symbol[:40]!r}")


def _time_in_force(form: PlaceOrderForm) -> str:
    return form.time_in_force or ("ioc" if form.type == "market" else "gtc")


def _shape_problems(form: PlaceOrderForm) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what is missing and what does not go together."""
    shape = _SHAPES[form.type]
    missing = [(name, f"is required for type {form.type}") for name in shape.required if getattr(form, name) is None]
    clashing = [
        (name, f"does not go with type {form.type}")
        for name in shape.excluded
        if getattr(form, name) not in (None, False)
    ]
    time_in_force = _time_in_force(form)
    if time_in_force not in shape.times_in_force:
        clashing.append(("time_in_force", f"{time_in_force} does not go with type {form.type}"))
    if form.type == "market":
        _market_problems(form, missing, clashing)
    if time_in_force == "gtd" and form.expire_time is None:
        missing.append(("expire_time", "is required for time_in_force gtd"))
    if time_in_force != "gtd" and form.expire_time is not None and "expire_time" in shape.optional:
        clashing.append(("expire_time", "goes with time_in_force gtd only"))
    if time_in_force in ("ioc", "fok") and form.type != "market":
        clashing.extend(
            (name, f"does not go with time_in_force {time_in_force}")
            for name in ("post_only", "display_quantity")
            if getattr(form, name) and name in shape.optional
        )
    if form.display_quantity and form.quantity and form.display_quantity > form.quantity:
        clashing.append(("display_quantity", "must be at most quantity"))
    return missing, clashing


def _market_problems(form: PlaceOrderForm, missing: list[tuple[str, str]], clashing: list[tuple[str, str]]) -> None:
    if form.quantity is None and form.quote_quantity is None:
        missing.append(("quantity", "is required, or quote_quantity to buy"))
    if form.quantity is not None and form.quote_quantity is not None:
        clashing.append(("quote_quantity", "does not go with quantity"))
    if form.quote_quantity is not None and form.side == "sell":
        clashing.append(("quote_quantity", "goes with side buy only"))


def _values(form: PlaceOrderForm, market: Market) -> tuple[dict[str, int], dict[str, int], int | None]:
    """Return prices in ticks, quantities in lots and the quote quantity in units, all within bounds."""
    ticks, lots = _steps(form, market)
    quote_quantity = _quote_units(form.quote_quantity, market)
    _check_bounds(ticks.get("price"), lots.get("quantity"), quote_quantity, market)
    return ticks, lots, quote_quantity


def _steps(form: PlaceOrderForm | AmendForm, market: Market) -> tuple[dict[str, int], dict[str, int]]:
    """Return prices in ticks and quantities in lots; raise `Rejected` for what is between two of them."""
    ticks, off_tick = _divided(form, ("price", "stop_price", "trailing_delta"), market.tick_size, "tick_size")
    lots, off_lot = _divided(form, ("quantity", "display_quantity"), market.lot_size, "lot_size")
    if off_tick:
        raise bad_fields((*off_tick, *off_lot), "order.price_tick")
    if off_lot:
        raise bad_fields(off_lot, "order.lot_size")
    return ticks, lots


def _divided(form: Form, names: tuple[str, ...], step: int, rule: str) -> tuple[dict[str, int], Fields]:
    steps: dict[str, int] = {}
    off: list[tuple[str, str]] = []
    for name in names:
        scaled = getattr(form, name, None)
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


def _check_bounds(
    price_ticks: int | None, quantity_lots: int | None, quote_quantity: int | None, market: Market
) -> None:
    """Refuse what reaches 10^18 units of an asset."""
    rule = "must be less than 10^18 units of the asset"
    if quote_quantity is not None and quote_quantity >= UNITS_BOUND:
        raise invalid_field("quote_quantity", rule)
    if quantity_lots is not None and quantity_lots * market.base_units_per_lot >= UNITS_BOUND:
        raise invalid_field("quantity", rule)
    if price_ticks is None or quantity_lots is None:
        return
    if price_ticks * quantity_lots * market.quote_units_per_tick_lot >= UNITS_BOUND:
        rule = "price x quantity must be less than 10^18 units of the quote asset"
        raise bad_fields((("quantity", rule), ("price", rule)))


def _check_built(form: PlaceOrderForm) -> None:
    later = []
    if form.type not in _BUILT_TYPES:
        later.append("type")
    if _time_in_force(form) not in _BUILT_TIMES:
        later.append("time_in_force")
    if form.display_quantity is not None:
        later.append("display_quantity")
    if form.self_trade_prevention not in (None, "cancel_newest"):
        later.append("self_trade_prevention")
    if later:
        raise not_built(*later)
