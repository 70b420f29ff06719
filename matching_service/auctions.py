"""Auctions and the states of a market: how each begins, what it would do now, and how it ends at one price."""

from msgspec import structs

from exchange.events import (
    AuctionEnded,
    AuctionStarted,
    Event,
    IndicationChanged,
    MarketChanged,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
)
from exchange.markets import MarketStatus
from exchange.orders import Side
from matching_service import bands
from matching_service.book import BUY
from matching_service.clearing import Clearing, clearing
from matching_service.state import LiveMarket, State
from matching_service.timers import Kind, Timer
from matching_service.uncrossing import crosses, depth, uncross

OPEN, HALTED, AUCTION = MarketStatus.OPEN, MarketStatus.HALTED, MarketStatus.AUCTION


def start_volatility(state: State, market: LiveMarket) -> list[Event]:
    """Let a market that would have left its band collect orders for a while."""
    ends = state.time + market.settings.volatility_auction_ms * 1000
    return [start(state, market, ends), MarketChanged(market.settings)]


def start(state: State, market: LiveMarket, ends: int | None) -> AuctionStarted:
    """Let a market collect orders until `ends`, or until it is opened."""
    set_status(state, market, AUCTION, ends=ends)
    return AuctionStarted(market.settings.symbol, ends, bands.reference(market))


def change_status(state: State, market: LiveMarket, status: MarketStatus) -> list[Event]:
    """Let a market be so, as an operator asks; return what comes before it is.

    An auction begins, or ends: by trading where the market opens, without where it does not. Whatever is crossed is
    traded as in an auction before a market opens.
    """
    figures, symbol = market.figures, market.settings.symbol
    was = market.settings.status_before_halt or market.settings.status
    if status is AUCTION and was is not AUCTION:
        return [start(state, market, None)]
    if status is OPEN and (was is AUCTION or crosses(market.book)):
        return end(state, market)
    done = (figures.uncrossing_ticks, 0 if figures.uncrossing_ticks is None else figures.indicative_lots)
    set_status(state, market, status, ends=figures.auction_ends if status is AUCTION else None)
    return [AuctionEnded(symbol, *done)] if was is AUCTION and status is not AUCTION else []


def end(state: State, market: LiveMarket) -> list[Event]:
    """Trade what crosses, and open the market.

    One command makes no more trades than it may: where more are left the market stays an auction that is due to end,
    and the next `AdvanceTime` goes on at the same price.
    """
    figures, symbol = market.figures, market.settings.symbol
    market.collected.clear()
    if figures.uncrossing_ticks is None:
        found = current(market)
        if found is None:
            set_status(state, market, OPEN)
            return [AuctionEnded(symbol, None, 0)]
        figures.uncrossing_ticks = figures.indicative_ticks = found.price_ticks
        figures.indicative_lots = figures.surplus_lots = 0
    price_ticks = figures.uncrossing_ticks
    events, lots = uncross(state, market, price_ticks)
    figures.indicative_lots += lots
    figures.last_price_ticks = figures.reference_ticks = price_ticks
    if not crosses(market.book, price_ticks):
        events.append(AuctionEnded(symbol, price_ticks, figures.indicative_lots))
        figures.uncrossing_ticks = None
    if crosses(market.book):
        set_status(state, market, AUCTION, ends=state.time)
    else:
        set_status(state, market, OPEN)
    return events


def fire_end(state: State, symbol: str) -> list[Event]:
    """End the auction of a market, if one is due."""
    market = state.markets[symbol]
    ends = market.figures.auction_ends
    if market.settings.status is not AUCTION or ends is None or ends > state.time:
        return []
    return [*end(state, market), MarketChanged(market.settings)]


def halt(state: State) -> list[Event]:
    """Halt every market that the exchange has not halted before."""
    changed: list[Event] = []
    for market in state.markets.values():
        settings = market.settings
        if settings.status_before_halt is None:
            set_status(state, market, HALTED, settings.status, market.figures.auction_ends)
            changed.append(MarketChanged(market.settings))
    return changed


def resume(state: State) -> list[Event]:
    """Put every market that was halted with the exchange back to what it was."""
    changed: list[Event] = []
    for market in state.markets.values():
        before = market.settings.status_before_halt
        if before is not None:
            set_status(state, market, before, ends=market.figures.auction_ends)
            changed.append(MarketChanged(market.settings))
    return changed


def current(market: LiveMarket) -> Clearing | None:
    """Return what an auction that ended now would do, None where nothing crosses."""
    book, collected = market.book, market.collected
    return clearing(depth(book.bids, collected), depth(book.asks, collected), bands.reference(market))


def indicate(state: State, market: LiveMarket) -> list[Event]:
    """Return what an auction that runs would do now, where that is new."""
    figures = market.figures
    if figures.uncrossing_ticks is not None:
        return []
    found = current(market)
    new = (None, 0, 0) if found is None else (found.price_ticks, found.quantity_lots, found.surplus_lots)
    if new == (figures.indicative_ticks, figures.indicative_lots, figures.surplus_lots):
        return []
    figures.indicative_ticks, figures.indicative_lots, figures.surplus_lots = new
    state.changed_markets[market] = None
    return [IndicationChanged(market.settings.symbol, *new)]


def follow_events(state: State, market: LiveMarket, events: list[Event]) -> bool:
    """Follow what a command did to what an auction has collected; say whether it may have changed anything."""
    collected = market.collected
    about = [event for event in events if _symbol(event) == market.settings.symbol]
    for event in about:
        if type(event) is OrderAccepted:
            order = state.orders.get(event.order_id)
            if order is not None and order.key in collected and not order.is_waiting:
                collected[order.key] += order.remaining_lots
        elif type(event) is OrderCanceled and event.resting_lots:
            assert event.remaining_lots is not None
            key = _key(event.side, event.price_ticks)
            if key in collected:
                collected[key] -= event.remaining_lots
        elif type(event) is OrderAmended:
            for price_ticks in (event.old_price_ticks, event.price_ticks):
                collected.pop(_key(event.side, price_ticks), None)
    return bool(about) or not collected


def _symbol(event: Event) -> str | None:
    return event.market.symbol if type(event) is MarketChanged else getattr(event, "symbol", None)


def _key(side: Side, price_ticks: int | None) -> int:
    price_ticks = price_ticks or 0
    return price_ticks if side is BUY else -price_ticks


def set_status(
    state: State,
    market: LiveMarket,
    status: MarketStatus,
    status_before_halt: MarketStatus | None = None,
    ends: int | None = None,
) -> None:
    """Let a market be so from now on; what belongs to an auction stays while there is one, halted or not."""
    figures, settings = market.figures, market.settings
    market.settings = structs.replace(settings, status=status, status_before_halt=status_before_halt)
    if figures.auction_ends is not None:
        state.timers.disarm(_timer(market, figures.auction_ends))
    figures.auction_ends = ends
    if status is not AUCTION and status_before_halt is not AUCTION:
        figures.indicative_ticks = figures.uncrossing_ticks = None
        figures.indicative_lots = figures.surplus_lots = 0
    market.collected.clear()
    follow(state, market)
    state.changed_markets[market] = state.unsettled[market] = None


def follow(state: State, market: LiveMarket) -> None:
    """Keep a market among the auctions while it is one, and its end among the timers; lay its band."""
    market.book.is_collecting = market.settings.status is AUCTION
    bands.lay(market)
    if market.settings.status is not AUCTION:
        state.auctions.pop(market, None)
        return
    state.auctions[market] = state.unsettled[market] = None
    if market.figures.auction_ends is not None:
        state.timers.arm(_timer(market, market.figures.auction_ends))


def _timer(market: LiveMarket, ends: int) -> Timer:
    return Timer(ends, Kind.AUCTION_END, market.created_sequence, market.settings.symbol)
