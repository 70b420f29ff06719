"""Requests of operators: their forms and the commands they become; whether they may be is the engine's to say."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from exchange.amounts import MAX_DECIMALS, POWERS, UNITS_BOUND
from exchange.commands import ChangeMarket, CreateMarket, Transfer
from exchange.errors import Rejected, invalid_field
from exchange.forms import Form, Positive, Scaled, bad_fields, form_of, not_built
from exchange.markets import RATE_DECIMALS, Asset, Market, MarketStatus, step_problem
from exchange.symbols import ASSET

MOST_NAME = 100
MOST_REFERENCE = 128
MOST_ADDRESSES = 50
MAPPED_BITS = 96
"""What comes before an IPv4 address that is written as IPv6."""
BELOW_BOUND = "must be less than 10^18 units of the asset"

ALWAYS_SET = ("status", "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate")
"""What every market has; only its price band may be null."""

Status = Literal["open", "cancel_only", "halted", "auction"]


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


class MarketForm(Form):
    """A new market."""

    symbol: str
    base: AssetName
    quote: AssetName
    tick_size: Positive
    lot_size: Positive
    min_notional: Scaled
    max_quantity: Positive
    status: Status = "open"
    maker_fee_rate: Scaled | None = None
    taker_fee_rate: Scaled | None = None
    price_band: Positive | None = None
    cell: int | None = None
    home_region: Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")] | None = None


class MarketChangeForm(Form):
    """What is to change of a market."""

    status: Status | None = None
    min_notional: Scaled | None = None
    max_quantity: Positive | None = None
    maker_fee_rate: Scaled | None = None
    taker_fee_rate: Scaled | None = None
    price_band: Positive | None = None


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
    amount = _units(form.amount, asset.decimals, "amount")
    return Transfer(kind, account_id, asset.asset, amount, form.reference)


def create_market(
    form: MarketForm, base: Asset | None, quote: Asset | None, cell: int, home_region: str
) -> CreateMarket:
    """Return the command; raise `Rejected` where the market could not be exact, or is not built yet."""
    if form.symbol != f"{form.base}-{form.quote}":
        raise invalid_field("symbol", "must be base and quote joined by -")
    if form.base == form.quote:
        raise invalid_field("quote", "must not be the base")
    if base is None:
        raise invalid_field("base", "must be the name of an asset")
    if quote is None:
        raise invalid_field("quote", "must be the name of an asset")
    if form.cell not in (None, cell):
        raise invalid_field("cell", f"must be {cell}")
    if problem := step_problem(form.tick_size, form.lot_size, base.decimals, quote.decimals):
        raise invalid_field(*problem)
    market = Market(
        symbol=form.symbol,
        base=form.base,
        quote=form.quote,
        status=MarketStatus(form.status),
        tick_size=form.tick_size,
        lot_size=form.lot_size,
        min_notional=_units(form.min_notional, quote.decimals, "min_notional"),
        max_quantity=_lots(form.max_quantity, form.lot_size, base.decimals),
        maker_fee_rate=_rate(form.maker_fee_rate or 0, "maker_fee_rate"),
        taker_fee_rate=_rate(form.taker_fee_rate or 0, "taker_fee_rate"),
        price_band=None,
        cell=cell,
        home_region=form.home_region or home_region,
        base_decimals=base.decimals,
        quote_decimals=quote.decimals,
    )
    _check_built(form.status, form.price_band)
    return CreateMarket(market)


def change_market(form: MarketChangeForm, market: Market, request_id: str) -> ChangeMarket:
    """Return the command; raise `Rejected` where a value cannot be, or is not built yet."""
    if not form.model_fields_set:
        raise bad_fields((("body", "must change something"),))
    nulls = [name for name in ALWAYS_SET if name in form.model_fields_set and getattr(form, name) is None]
    if nulls:
        raise bad_fields(tuple((name, "must not be null") for name in nulls))
    command = ChangeMarket(
        request_id=request_id,
        symbol=market.symbol,
        status=MarketStatus(form.status) if form.status else None,
        min_notional=_optional(form.min_notional, market.quote_decimals, "min_notional"),
        max_quantity=None
        if form.max_quantity is None
        else _lots(form.max_quantity, market.lot_size, market.base_decimals),
        maker_fee_rate=None if form.maker_fee_rate is None else _rate(form.maker_fee_rate, "maker_fee_rate"),
        taker_fee_rate=None if form.taker_fee_rate is None else _rate(form.taker_fee_rate, "taker_fee_rate"),
    )
    _check_built(form.status, form.price_band)
    return command


def account_id_of(request_id: str) -> str:
    """Return the id of the account that the request of this id creates."""
    return f"acc_{request_id[2:26]}"


def no_account() -> Rejected:
    """Return the 404 for an account id that nobody can have."""
    return Rejected("resource.not_found", "There is no such account.")


def _units(scaled: int, decimals: int, field: str) -> int:
    units, rest = divmod(scaled, POWERS[MAX_DECIMALS - decimals])
    if rest:
        raise invalid_field(field, f"must have at most {decimals} decimals")
    if units >= UNITS_BOUND:
        raise invalid_field(field, BELOW_BOUND)
    return units


def _optional(scaled: int | None, decimals: int, field: str) -> int | None:
    return None if scaled is None else _units(scaled, decimals, field)


def _lots(scaled: int, lot_size: int, base_decimals: int) -> int:
    lots, rest = divmod(scaled, lot_size)
    if rest:
        raise invalid_field("max_quantity", "must be a multiple of lot_size")
    if scaled // POWERS[MAX_DECIMALS - base_decimals] >= UNITS_BOUND:
        raise invalid_field("max_quantity", BELOW_BOUND)
    return lots


def _rate(scaled: int, field: str) -> int:
    rate, rest = divmod(scaled, POWERS[MAX_DECIMALS - RATE_DECIMALS])
    if rest or rate >= POWERS[RATE_DECIMALS]:
        raise invalid_field(field, f"must be below 1 with at most {RATE_DECIMALS} decimals")
    return rate


def _check_built(status: str | None, price_band: int | None) -> None:
    later = [
        name for name, is_later in (("status", status == "auction"), ("price_band", price_band is not None)) if is_later
    ]
    if later:
        raise not_built(*later)
