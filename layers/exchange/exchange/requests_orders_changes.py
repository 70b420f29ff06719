"""Requests that change what an account has open: an amended order, the dead man's switch; it never asks the engine."""

from typing import Annotated, Any

from pydantic import Field

from exchange.commands import AmendOrder, CancelAllAfter
from exchange.forms import Form, Positive, bad_fields, form_of

MOST_TIMEOUT_MS = 86_400_000


class AmendForm(Form):
    """What an order is to become; decimals are integers of 10^-18 here."""

    quantity: Positive | None = None
    price: Positive | None = None


class CancelAllAfterForm(Form):
    """The dead man's switch; 0 disarms it."""

    timeout_ms: Annotated[int, Field(ge=0, le=MOST_TIMEOUT_MS)]


def amend_order(value: Any, request_id: str, account_id: str, order_id: str) -> AmendOrder:
    """Return the command of a well-formed amendment; its market's steps are the engine's to check."""
    form = form_of(AmendForm, value)
    if form.quantity is None and form.price is None:
        raise bad_fields((("quantity", "or price is required"),))
    return AmendOrder(request_id, account_id, order_id, form.quantity, form.price)


def cancel_all_after(value: Any, request_id: str, account_id: str) -> CancelAllAfter:
    """Return the command that arms or disarms the dead man's switch."""
    return CancelAllAfter(request_id, account_id, form_of(CancelAllAfterForm, value).timeout_ms)
