"""Where a command ends: what its trades set off, market by market; the one place for all that follows a command."""

from exchange.events import Event, Trade
from exchange.markets import MarketStatus
from matching_service import bands
from matching_service.auctions import follow_events, indicate
from matching_service.book import MAX_FILLS
from matching_service.state import LiveMarket, State
from matching_service.triggering import fire

MAX_TRIGGERED = 1000
"""How many orders are triggered where one command ends."""
OPEN = MarketStatus.OPEN


def finish(state: State, events: list[Event]) -> list[Event]:
    """Let happen what a command with these `events` set off, and return it.

    `state.unsettled` are the markets where something may have to; what stays in it is owed to the next command, but for
    auctions, which are always looked at.
    """
    trades = _count_trades(events)
    triggered = 0
    following: list[Event] = []
    for market in sorted(state.unsettled, key=lambda market: market.created_sequence):
        if market in state.auctions and not follow_events(state, market, events):
            continue
        _follow_price(state, market)
        is_owed = False
        while market.settings.status is OPEN and market.triggers.has_due():
            order = market.triggers.take_due()
            may_fire = triggered < MAX_TRIGGERED and trades < MAX_FILLS
            happened = fire(state, market, order, MAX_FILLS - trades) if may_fire else []
            if not happened:
                market.triggers.put_back(order)
                is_owed = True
                break
            following += happened
            triggered += 1
            trades += _count_trades(happened)
            _follow_price(state, market)
        if market in state.auctions:
            following += indicate(state, market)
            continue
        bands.lay(market)
        state.changed_markets[market] = None
        if not is_owed:
            del state.unsettled[market]
    return following


def _count_trades(events: list[Event]) -> int:
    return sum(type(event) is Trade for event in events)


def _follow_price(state: State, market: LiveMarket) -> None:
    """Move the triggers that follow the last price, and find those that it reached."""
    if market.figures.last_price_ticks is not None:
        for order in market.triggers.see(market.figures.last_price_ticks):
            state.move(order)
