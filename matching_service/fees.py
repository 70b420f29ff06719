"""What a trade costs each side: rates by the volume of 30 UTC days, and rebates; it moves no money."""

from collections.abc import Iterable

from exchange.events import Event, TierChanged
from exchange.markets import RATE_DECIMALS, Market
from matching_service.accounts import FeeVolume, Trader
from matching_service.state import LiveMarket, State
from matching_service.timers import Kind, Timer

RATE_ONE: int = 10**RATE_DECIMALS
DAY_US = 86_400_000_000
WINDOW_DAYS = 30
"""How many days before today count."""


def charge(
    state: State, market: LiveMarket, maker: Trader, taker: Trader, quote: int, paid: int, received: int
) -> tuple[int, int, int]:
    """Return maker's fee, taker's fee and maker's rebate for a trade in which the taker pays and receives so much.

    Each pays in the asset that it receives, rounded up. The rebate is in the asset that the taker pays its fee in,
    rounded down and never more than that fee. The trade counts in the volumes of both.
    """
    maker_rate = (maker.tier or market.settings).maker_fee_rate
    taker_fee = taken(market, taker, received)
    if market.settings.fee_tiers:
        count(state, market, maker, quote)
        count(state, market, taker, quote)
    if maker_rate < 0:
        return 0, taker_fee, min(received * -maker_rate // RATE_ONE, taker_fee)
    return -(-paid * maker_rate // RATE_ONE), taker_fee, 0


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
            follow(state, market)
    volumes[-1].quote += quote
    state.changed_fee_volumes[volumes[-1]] = None


def follow(state: State, market: LiveMarket) -> None:
    """Keep the end of a market's day among the timers, while somebody has a volume."""
    day = market.figures.fee_day
    if day is not None:
        timer = Timer((day + 1) * DAY_US, Kind.FEE_DAY, market.created_sequence, market.settings.symbol)
        state.timers.arm(timer)


def fire_day(state: State, symbol: str) -> list[Event]:
    """Let the tiers of today hold, by the volumes of the 30 days before; return who pays other rates now."""
    market = state.markets[symbol]
    figures = market.figures
    figures.fee_day = day = state.time // DAY_US
    state.changed_markets[market] = None
    traders = [trader for trader in market.traders.values() if trader.volumes]
    changed = _find(market, market.settings, traders)
    for trader in traders:
        while trader.volumes and not counts(trader.volumes[0], day):
            volume = trader.volumes.pop(0)
            volume.quote = 0
            state.changed_fee_volumes[volume] = None
    if not any(trader.volumes for trader in traders):
        figures.fee_day = None
    follow(state, market)
    return changed


def find_tiers(market: LiveMarket, before: Market) -> list[Event]:
    """Find everybody's tier anew; return who of those with a volume pays other rates than `before`, by account."""
    return _find(market, before, market.traders.values())


def _find(market: LiveMarket, before: Market, traders: Iterable[Trader]) -> list[Event]:
    changed: dict[str, Event] = {}
    settings, day = market.settings, market.figures.fee_day or 0
    for trader in traders:
        old = trader.tier or before
        trader.tier = settings.fee_tier(_volume(trader, day))
        new = trader.tier or settings
        rates = (new.maker_fee_rate, new.taker_fee_rate)
        if trader.volumes and rates != (old.maker_fee_rate, old.taker_fee_rate):
            changed[trader.account_id] = TierChanged(trader.account_id, settings.symbol, *rates)
    return [event for _, event in sorted(changed.items())]


def _volume(trader: Trader, day: int) -> int:
    """Return what a trader traded on the 30 days before `day`."""
    return sum(volume.quote for volume in trader.volumes if day - WINDOW_DAYS <= volume.day < day)


def counts(volume: FeeVolume, day: int | None) -> bool:
    """Say whether a volume counts on `day`, whose tiers hold, or on a later one."""
    return day is not None and volume.day >= day - WINDOW_DAYS
