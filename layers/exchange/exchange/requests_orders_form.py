"""One order as it is asked for: the form of each field, and which of them go together; it knows no market."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from exchange.forms import Form, Moment, Positive, bad_fields, form_of
from exchange.symbols import CLIENT_ORDER_ID

MOST_QUEUE_DEADLINE_MS = 3_600_000

FieldRule = tuple[str, str]
"""The name of a field, and the rule that it breaks."""


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


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one type of order must have, what it must not have, how long it may stay."""

    required: tuple[str, ...]
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
_TRIGGERS = ("stop_price", "trailing_delta")
"""What a type that waits for a price has, and no other: left out or given elsewhere it is a wrong combination."""
_ANY_TIME = ("gtc", "ioc", "fok", "gtd", "day")
_AT_ONCE = ("ioc", "fok")


def _shape(required: tuple[str, ...], optional: tuple[str, ...], times_in_force: tuple[str, ...] = _ANY_TIME) -> _Shape:
    excluded = tuple(name for name in _CHOSEN if name not in (*required, *optional))
    return _Shape(required, excluded, times_in_force)


_SHAPES = {
    "limit": _shape(("quantity", "price"), ("expire_time", "post_only", "display_quantity")),
    "market": _shape((), ("quantity", "quote_quantity"), _AT_ONCE),
    "stop": _shape(("quantity", "stop_price"), ("expire_time",)),
    "stop_limit": _shape(("quantity", "price", "stop_price"), ("expire_time", "display_quantity")),
    "take_profit": _shape(("quantity", "stop_price"), ("expire_time",)),
    "take_profit_limit": _shape(("quantity", "price", "stop_price"), ("expire_time", "display_quantity")),
    "trailing_stop": _shape(("quantity", "trailing_delta"), ("expire_time",)),
}


def order_form(value: Any) -> PlaceOrderForm:
    """Return a well-formed order; raise `Rejected` naming every bad field, or those that do not go together."""
    form = form_of(PlaceOrderForm, value)
    missing, clashing = _missing(form), _clashing(form)
    if missing:
        raise bad_fields((*missing, *clashing))
    if clashing:
        raise bad_fields(tuple(clashing), "order.combination")
    return form


def time_in_force_of(form: PlaceOrderForm) -> str:
    """Return how long the order stays, the default of its type where it does not say."""
    return form.time_in_force or ("ioc" if form.type == "market" else "gtc")


def _missing(form: PlaceOrderForm) -> list[FieldRule]:
    """Return the quantity and the price that the order cannot do without.

    A quote_quantity in place of the quantity is a wrong combination, where it is one, and not a missing quantity.
    """
    if form.type == "market" and form.quantity is None and form.quote_quantity is None:
        return [("quantity", "is required, or quote_quantity to buy")]
    given = _TRIGGERS if form.quote_quantity is None else (*_TRIGGERS, "quantity")
    required = (name for name in _SHAPES[form.type].required if name not in given)
    return [(name, f"is required for type {form.type}") for name in required if getattr(form, name) is None]


def _clashing(form: PlaceOrderForm) -> list[FieldRule]:
    """Return what does not go together, each field with the rule that it breaks."""
    shape, time_in_force = _SHAPES[form.type], time_in_force_of(form)
    found = [
        (name, f"is required for type {form.type}")
        for name in shape.required
        if name in _TRIGGERS and getattr(form, name) is None
    ]
    found += [
        (name, f"does not go with type {form.type}")
        for name in shape.excluded
        if getattr(form, name) not in (None, False)
    ]
    if time_in_force not in shape.times_in_force:
        found.append(("time_in_force", f"{time_in_force} does not go with type {form.type}"))
    return found + _time_problems(form, time_in_force, shape) + _quantity_problems(form, shape)


def _time_problems(form: PlaceOrderForm, time_in_force: str, shape: _Shape) -> list[FieldRule]:
    found: list[FieldRule] = []
    if time_in_force == "gtd" and form.expire_time is None:
        found.append(("expire_time", "is required for time_in_force gtd"))
    if time_in_force != "gtd" and form.expire_time is not None and "expire_time" not in shape.excluded:
        found.append(("expire_time", "goes with time_in_force gtd only"))
    if time_in_force in _AT_ONCE:
        found += [
            (name, f"does not go with time_in_force {time_in_force}")
            for name in ("post_only", "display_quantity")
            if getattr(form, name) and name not in shape.excluded
        ]
    return found


def _quantity_problems(form: PlaceOrderForm, shape: _Shape) -> list[FieldRule]:
    found: list[FieldRule] = []
    if form.quote_quantity is not None and "quote_quantity" not in shape.excluded:
        if form.quantity is not None:
            found.append(("quote_quantity", "does not go with quantity"))
        if form.side == "sell":
            found.append(("quote_quantity", "goes with side buy only"))
    is_shown = "display_quantity" not in shape.excluded
    if is_shown and form.display_quantity and form.quantity and form.display_quantity > form.quantity:
        found.append(("display_quantity", "must be at most quantity"))
    return found
