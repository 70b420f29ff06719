"""The command by which time goes on: what is due fires, in order; it decides no time."""

from collections.abc import Callable

from exchange.commands import AdvanceTime
from exchange.events import Event, TimeAdvanced
from matching_service.auctions import fire_end
from matching_service.endings import cancel
from matching_service.fees import fire_day
from matching_service.safeguards import fire_dead_man
from matching_service.state import State
from matching_service.timers import Kind

MAX_TIMERS = 1000
"""How many timers one command fires; the rest stays due."""


def examine_time(_state: State, _command: AdvanceTime) -> None:
    """Find nothing against it: time goes on."""


def advance_time(state: State, _command: AdvanceTime) -> list[Event]:
    """Fire the timers that are due."""
    events: list[Event] = [TimeAdvanced()]
    for timer in state.timers.take(state.time, MAX_TIMERS):
        events += FIRE[timer.kind](state, timer.key)
    return events


def _expire(state: State, order_id: str) -> list[Event]:
    order = state.orders.get(order_id)
    if order is None:
        return []
    return cancel(state, state.markets[order.placed.symbol], order, "expired")


FIRE: dict[Kind, Callable[[State, str], list[Event]]] = {
    Kind.EXPIRY: _expire,
    Kind.DEAD_MAN: fire_dead_man,
    Kind.FEE_DAY: fire_day,
    Kind.AUCTION_END: fire_end,
}
"""What a timer of a kind does; it may have lost its reason since it was armed."""
