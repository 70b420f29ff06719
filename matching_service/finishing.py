"""Where a command ends: what its trades set off, market by market; the one place for all that follows a command."""

from exchange.events import Event
from matching_service import bands
from matching_service.auctions import indicate
from matching_service.state import State


def finish(state: State) -> list[Event]:
    """Let happen what the command set off, and return it.

    `state.unsettled` are the markets where something may have to; what stays in it is owed to the next command.
    """
    events: list[Event] = []
    for market in sorted(state.unsettled, key=lambda market: market.created_sequence):
        state.changed_markets[market] = None
        del state.unsettled[market]
        bands.lay(market)
        if market in state.auctions:
            events += indicate(state, market)
    return events
