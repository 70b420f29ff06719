"""Requests of operators about markets: forms, and the commands that come of them; the engine says what may be."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.amounts import MAX_DECIMALS, POWERS, UNITS_BOUND
from exchange.commands import ChangeMarket, CreateMarket
from exchange.errors import invalid_field
from exchange.forms import BELOW_BOUND, Form, Positive, Scaled, Signed, bad_fields, units_of
from exchange.markets import RATE_DECIMALS, Asset, FeeTier, Market, MarketStatus, ReferencePolicy, step_problem
from exchange.requests_admin import AssetName

MOST_TIERS = 20
MOST_AUCTION_MS = 86_400_000
DEFAULT_AUCTION_MS = 30_000

ALWAYS_SET = (
    "status", "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate", "reference", "volatility_auction_ms",
    "fee_tiers",
)  # fmt: skip
"""What every market has; only its price band may be null."""

Status = Literal["open", "cancel_only", "halted", "auction"]
Reference = Literal["moving", "last_auction"]
AuctionMs = Annotated[int, Field(ge=1, le=MOST_AUCTION_MS)]


class FeeTierForm(Form):
    """The rates of an account that traded so much in 30 days."""

    volume: Positive
    maker_fee_rate: Signed
    taker_fee_rate: Scaled


Tiers = Annotated[list[FeeTierForm], Field(max_length=MOST_TIERS)]


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
    maker_fee_rate: Signed | None = None
    taker_fee_rate: Scaled | None = None
    price_band: Positive | None = None
    reference: Reference = "moving"
    volatility_auction_ms: AuctionMs = DEFAULT_AUCTION_MS
    fee_tiers: Tiers = Field(default_factory=list)
    cell: int | None = None
    home_region: Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")] | None = None


class MarketChangeForm(Form):
    """What is to change of a market."""

    status: Status | None = None
    min_notional: Scaled | None = None
    max_quantity: Positive | None = None
    maker_fee_rate: Signed | None = None
    taker_fee_rate: Scaled | None = None
    price_band: Positive | None = None
    reference: Reference | None = None
    volatility_auction_ms: AuctionMs | None = None
    fee_tiers: Tiers | None = None


def create_market(
    form: MarketForm, base: Asset | None, quote: Asset | None, cell: int, home_region: str
) -> CreateMarket:
    """Return the command; raise `Rejected` where the market could not be exact."""
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
        min_notional=units_of(form.min_notional, quote.decimals, "min_notional"),
        max_quantity=_lots(form.max_quantity, form.lot_size, base.decimals),
        maker_fee_rate=_rate(form.maker_fee_rate or 0, "maker_fee_rate"),
        taker_fee_rate=_rate(form.taker_fee_rate or 0, "taker_fee_rate"),
        price_band=None if form.price_band is None else _rate(form.price_band, "price_band"),
        cell=cell,
        home_region=form.home_region or home_region,
        base_decimals=base.decimals,
        quote_decimals=quote.decimals,
        reference=ReferencePolicy(form.reference),
        volatility_auction_ms=form.volatility_auction_ms,
        fee_tiers=_tiers(form.fee_tiers, quote.decimals),
    )
    _check_rebate(market.maker_fee_rate, market.taker_fee_rate, "maker_fee_rate")
    return CreateMarket(market)


def change_market(form: MarketChangeForm, market: Market, request_id: str) -> ChangeMarket:
    """Return the command; raise `Rejected` where a value cannot be."""
    if not form.model_fields_set:
        raise bad_fields((("body", "must change something"),))
    nulls = [name for name in ALWAYS_SET if name in form.model_fields_set and getattr(form, name) is None]
    if nulls:
        raise bad_fields(tuple((name, "must not be null") for name in nulls))
    maximum, minimum, decimals = form.max_quantity, form.min_notional, market.quote_decimals
    command = ChangeMarket(
        request_id=request_id,
        symbol=market.symbol,
        status=MarketStatus(form.status) if form.status else None,
        min_notional=None if minimum is None else units_of(minimum, decimals, "min_notional"),
        max_quantity=None if maximum is None else _lots(maximum, market.lot_size, market.base_decimals),
        maker_fee_rate=None if form.maker_fee_rate is None else _rate(form.maker_fee_rate, "maker_fee_rate"),
        taker_fee_rate=None if form.taker_fee_rate is None else _rate(form.taker_fee_rate, "taker_fee_rate"),
        price_band=None if form.price_band is None else _rate(form.price_band, "price_band"),
        clears_price_band="price_band" in form.model_fields_set and form.price_band is None,
        reference=ReferencePolicy(form.reference) if form.reference else None,
        volatility_auction_ms=form.volatility_auction_ms,
        fee_tiers=None if form.fee_tiers is None else _tiers(form.fee_tiers, decimals),
    )
    if command.maker_fee_rate is not None and command.taker_fee_rate is not None:
        _check_rebate(command.maker_fee_rate, command.taker_fee_rate, "maker_fee_rate")
    return command


def _tiers(forms: list[FeeTierForm], quote_decimals: int) -> tuple[FeeTier, ...]:
    tiers: list[FeeTier] = []
    for index, form in enumerate(forms):
        place = f"fee_tiers.{index}"
        volume = units_of(form.volume, quote_decimals, f"{place}.volume")
        if tiers and volume <= tiers[-1].volume:
            raise invalid_field(f"{place}.volume", "must be above that of the tier before")
        maker_fee_rate = _rate(form.maker_fee_rate, f"{place}.maker_fee_rate")
        taker_fee_rate = _rate(form.taker_fee_rate, f"{place}.taker_fee_rate")
        _check_rebate(maker_fee_rate, taker_fee_rate, f"{place}.maker_fee_rate")
        tiers.append(FeeTier(volume, maker_fee_rate, taker_fee_rate))
    return tuple(tiers)


def _check_rebate(maker_fee_rate: int, taker_fee_rate: int, field: str) -> None:
    """Refuse a rebate that is more than the taker pays."""
    if maker_fee_rate < -taker_fee_rate:
        raise invalid_field(field, "must not be below minus the taker_fee_rate")


def _lots(scaled: int, lot_size: int, base_decimals: int) -> int:
    lots, rest = divmod(scaled, lot_size)
    if rest:
        raise invalid_field("max_quantity", "must be a multiple of lot_size")
    if scaled // POWERS[MAX_DECIMALS - base_decimals] >= UNITS_BOUND:
        raise invalid_field("max_quantity", BELOW_BOUND)
    return lots


def _rate(scaled: int, field: str) -> int:
    rate, rest = divmod(scaled, POWERS[MAX_DECIMALS - RATE_DECIMALS])
    if rest or abs(rate) >= POWERS[RATE_DECIMALS]:
        raise invalid_field(field, f"must be below 1 with at most {RATE_DECIMALS} decimals")
    return rate
