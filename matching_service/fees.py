"""What a trade costs each side: rates by the volume of 30 UTC days, and rebates; it moves no money."""

from exchange.events import TierChanged
from exchange.markets import RATE_DECIMALS, Market
from matching_service.accounts import FeeVolume, Trader
from matching_service.state import LiveMarket, State

RATE_ONE: int = 10**RATE_DECIMALS
DAY_US = 86_400_000_000
WINDOW_DAYS = 30
"""How many days before today count."""


def charged(market: LiveMarket, maker: Trader, taker: Trader, paid: int, received: int) -> tuple[int, int]:
    """Return the fees of maker and taker for a trade in which the taker pays `paid` and receives `received`.

    Each is in the asset that the side receives and rounded up, but a negative one of the maker: that is a rebate in the
    asset that the taker receives, rounded down and never more than the taker's fee.
    """
    maker_rate = (maker.tier or market.settings).maker_fee_rate
    taker_fee = taken(market, taker, received)
    if maker_rate < 0:
        return -min(received * -maker_rate // RATE_ONE, taker_fee), taker_fee
    return -(-paid * maker_rate // RATE_ONE), taker_fee


def taken(market: LiveMarket, trader: Trader, received: int) -> int:
    """Return the fee of one who takes, for what it receives."""
    return -(-received * (trader.tier or market.settings).taker_fee_rate // RATE_ONE)


def count(state: State, market: LiveMarket, trader: Trader, quote: int) -> None:
    """Count a trade in the volume of today; without effect on rates before the next day."""
    day = state.time // DAY_US
    volumes = trader.volumes
    if not volumes or volumes[-1].day != day:
        volumes.append(FeeVolume(trader.account_id, market.settings.symbol, day))
        if market.figures.fee_day is None:
            market.figures.fee_day = day
            state.changed_markets[market] = None
    volumes[-1].quote += quote
    state.changed_fee_volumes[volumes[-1]] = None


def next_day(market: LiveMarket) -> int | None:
    """Return when the tiers of a market are to be found anew, in microseconds, None where nobody has a volume."""
    day = market.figures.fee_day
    return None if day is None else (day + 1) * DAY_US


def begin_day(state: State, market: LiveMarket) -> list[TierChanged]:
    """Let the tiers of today hold, by the volumes of the 30 days before; return who pays other rates now."""
    figures = market.figures
    figures.fee_day = day = state.time // DAY_US
    state.changed_markets[market] = None
    changed = find_tiers(market, market.settings)
    for trader in market.traders.values():
        while trader.volumes and not counts(trader.volumes[0], day):
            volume = trader.volumes.pop(0)
            volume.quote = 0
            state.changed_fee_volumes[volume] = None
    if not any(trader.volumes for trader in market.traders.values()):
        figures.fee_day = None
    return changed


def find_tiers(market: LiveMarket, before: Market) -> list[TierChanged]:
    """Find everybody's tier anew; return who of those with a volume pays other rates than `before`, by account."""
    changed: list[TierChanged] = []
    settings, day = market.settings, market.figures.fee_day or 0
    for account_id, trader in sorted(market.traders.items()):
        old = trader.tier or before
        trader.tier = settings.fee_tier(_volume(trader, day))
        new = trader.tier or settings
        rates = (new.maker_fee_rate, new.taker_fee_rate)
        if trader.volumes and rates != (old.maker_fee_rate, old.taker_fee_rate):
            changed.append(TierChanged(account_id, settings.symbol, *rates))
    return changed


def _volume(trader: Trader, day: int) -> int:
    """Return what a trader traded on the 30 days before `day`."""
    return sum(volume.quote for volume in trader.volumes if day - WINDOW_DAYS <= volume.day < day)


def counts(volume: FeeVolume, day: int | None) -> bool:
    """Say whether a volume counts on `day`, whose tiers hold, or on a later one."""
    return day is not None and volume.day >= day - WINDOW_DAYS
