"""Requests of operators: their forms and the commands they become; whether they may be is the engine's to say."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from exchange.amounts import MAX_DECIMALS
from exchange.commands import Transfer
from exchange.errors import Rejected, invalid_field
from exchange.forms import Form, Positive, form_of, units_of
from exchange.markets import Asset
from exchange.symbols import ASSET

MOST_NAME = 100
MOST_REFERENCE = 128
MOST_ADDRESSES = 50
MAPPED_BITS = 96
"""What comes before an IPv4 address that is written as IPv6."""


def _asset(value: object) -> str:
    if not isinstance(value, str) or not ASSET.fullmatch(value):
        raise ValueError("must be 1 to 16 of A-Z 0-9")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_NAME or not value.isprintable() or not value.strip():
        raise ValueError(f"must be 1 to {MOST_NAME} printable characters")
    return value


def _reference(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_REFERENCE or not value.isprintable():
        raise ValueError(f"must be 1 to {MOST_REFERENCE} printable characters")
    return value


def _network(value: object) -> str:
    """Return an address or a network as it is compared: IPv4 also where it was written as IPv6."""
    rule = "must be an address or a network such as 10.0.0.0/8"
    if not isinstance(value, str) or "%" in value:
        raise ValueError(rule)
    try:
        network = _unmapped(ip_network(value))
    except ValueError:
        raise ValueError(rule) from None
    return str(network if "/" in value else network.network_address)


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


AssetName = Annotated[str, PlainValidator(_asset)]
Network = Annotated[str, PlainValidator(_network)]


class AssetForm(Form):
    """A new asset."""

    asset: AssetName
    decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)]


class AccountForm(Form):
    """A new account."""

    name: Annotated[str, PlainValidator(_name)]


class AccountStatusForm(Form):
    """What an account may do from now on."""

    status: Literal["active", "cancel_only", "suspended"]


class EmptyForm(Form):
    """A call that is told nothing."""


class TransferForm(Form):
    """Funds that come in or go out."""

    asset: AssetName
    amount: Positive
    reference: Annotated[str, PlainValidator(_reference)]


class ApiKeyForm(Form):
    """A new key."""

    scopes: Annotated[list[Literal["read", "trade", "admin"]], Field(min_length=1, max_length=3)]
    ip_allow_list: Annotated[list[Network], Field(max_length=MOST_ADDRESSES)] | None = None


def api_key_form(value: Any) -> ApiKeyForm:
    """Return a well-formed key."""
    form = form_of(ApiKeyForm, value)
    if len(set(form.scopes)) != len(form.scopes):
        raise invalid_field("scopes", "must not repeat a scope")
    return form


def transfer(form: TransferForm, kind: str, account_id: str, asset: Asset | None) -> Transfer:
    """Return the command; raise `Rejected` where the asset or the amount cannot be."""
    if asset is None:
        raise invalid_field("asset", "must be the name of an asset")
    amount = units_of(form.amount, asset.decimals, "amount")
    return Transfer(kind, account_id, asset.asset, amount, form.reference)


def account_id_of(request_id: str) -> str:
    """Return the id of the account that the request of this id creates."""
    return f"acc_{request_id[2:26]}"


def no_account() -> Rejected:
    """Return the 404 for an account id that nobody can have."""
    return Rejected("resource.not_found", "There is no such account.")
