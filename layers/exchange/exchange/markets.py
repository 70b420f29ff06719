"""Assets and markets: what is traded and in which steps; immutable values that never change by themselves."""

from enum import StrEnum

from msgspec import Struct

from exchange import amounts

RATE_DECIMALS = 9
"""Fee rates and price bands are integers of 10^-9: 0.001 is 1,000,000."""


class MarketStatus(StrEnum):
    """What a market lets traders do."""

    OPEN = "open"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    AUCTION = "auction"


class ReferencePolicy(StrEnum):
    """What a market's price band is laid around."""

    MOVING = "moving"
    """The last trade's price as of the end of the command before."""
    LAST_AUCTION = "last_auction"
    """The price of the last auction."""


class FeeTier(Struct, frozen=True, array_like=True):
    """The rates of an account that traded at least `volume` quote units in the market on the 30 UTC days before."""

    volume: int
    maker_fee_rate: int
    taker_fee_rate: int


class Asset(Struct, frozen=True, array_like=True):
    """One asset; an amount of it is an integer of 10^-decimals."""

    asset: str
    decimals: int


class Market(Struct, frozen=True, array_like=True):
    """One market in integers.

    `tick_size` and `lot_size` are scaled by 10^18. `min_notional` is in quote units, `max_quantity` in lots, the
    rates and the band in 10^-9. `base_decimals` and `quote_decimals` are those of the two assets. A negative
    `maker_fee_rate` is a rebate. `fee_tiers` ascend by volume. `status_before_halt` is set while the exchange is
    halted.
    """

    symbol: str
    base: str
    quote: str
    status: MarketStatus
    tick_size: int
    lot_size: int
    min_notional: int
    max_quantity: int
    maker_fee_rate: int
    taker_fee_rate: int
    price_band: int | None
    cell: int
    home_region: str
    base_decimals: int
    quote_decimals: int
    reference: ReferencePolicy = ReferencePolicy.MOVING
    volatility_auction_ms: int = 30_000
    fee_tiers: tuple[FeeTier, ...] = ()
    status_before_halt: MarketStatus | None = None

    @property
    def price_decimals(self) -> int:
        """The decimals with which a price prints."""
        return amounts.decimals_of(self.tick_size)

    @property
    def quantity_decimals(self) -> int:
        """The decimals with which a quantity prints."""
        return amounts.decimals_of(self.lot_size)

    @property
    def tick_step(self) -> int:
        """One tick in 10^-price_decimals."""
        return self.tick_size // amounts.POWERS[amounts.MAX_DECIMALS - self.price_decimals]

    @property
    def lot_step(self) -> int:
        """One lot in 10^-quantity_decimals."""
        return self.lot_size // amounts.POWERS[amounts.MAX_DECIMALS - self.quantity_decimals]

    @property
    def base_units_per_lot(self) -> int:
        """The base units in one lot; whole by `step_problem`."""
        return self.lot_size // amounts.POWERS[amounts.MAX_DECIMALS - self.base_decimals]

    @property
    def quote_units_per_tick_lot(self) -> int:
        """The quote units that one lot costs at a price of one tick; whole by `step_problem`."""
        return self.tick_size * self.lot_size // amounts.POWERS[2 * amounts.MAX_DECIMALS - self.quote_decimals]

    def fee_tier(self, volume: int) -> FeeTier | None:
        """Return the highest tier that `volume` reaches, None below the first."""
        return next((tier for tier in reversed(self.fee_tiers) if volume >= tier.volume), None)

    def price_text(self, price_ticks: int) -> str:
        """Print a price with the tick's decimals."""
        return amounts.text(price_ticks * self.tick_step, self.price_decimals)

    def quantity_text(self, quantity_lots: int) -> str:
        """Print a quantity with the lot's decimals."""
        return amounts.text(quantity_lots * self.lot_step, self.quantity_decimals)

    def quote_text(self, units: int) -> str:
        """Print an amount of the quote asset."""
        return amounts.text(units, self.quote_decimals)


class MarketFigures(Struct, array_like=True):
    """What a market has come to by trading, beside its settings; prices in ticks, each None where there is none.

    `reference_ticks` is the price of the last auction. `auction_ends` is when the auction that runs ends by itself, in
    microseconds, `indicative_ticks`, `indicative_lots` and `surplus_lots` what it would do now. `uncrossing_ticks` is
    the price of one that has ended and has more trades than one command may; `indicative_lots` is then what is done.
    `fee_day` is the UTC day, counted from
    the epoch, whose tiers hold.
    """

    last_price_ticks: int | None = None
    reference_ticks: int | None = None
    auction_ends: int | None = None
    indicative_ticks: int | None = None
    indicative_lots: int = 0
    surplus_lots: int = 0
    uncrossing_ticks: int | None = None
    fee_day: int | None = None


def step_problem(tick_size: int, lot_size: int, base_decimals: int, quote_decimals: int) -> tuple[str, str] | None:
    """Return the field at fault and the rule when a market with these steps could not be exact, else None."""
    if tick_size <= 0:
        return "tick_size", "must be above zero"
    if lot_size <= 0:
        return "lot_size", "must be above zero"
    if lot_size % amounts.POWERS[amounts.MAX_DECIMALS - base_decimals]:
        return "lot_size", "must be a whole number of base units"
    if tick_size * lot_size % amounts.POWERS[2 * amounts.MAX_DECIMALS - quote_decimals]:
        return "tick_size", "tick_size x lot_size must be a whole number of quote units"
    return None
