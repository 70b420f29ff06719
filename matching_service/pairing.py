"""The command that enters a pair of orders of which one cancels the other: both or none; it knows no other command."""

from msgspec.structs import replace

from exchange.commands import PlacePair
from exchange.events import Event
from exchange.orders import OrderType
from matching_service.book import Order
from matching_service.endings import part, reject
from matching_service.entering import accepted, enter, expire, is_late
from matching_service.matching import work
from matching_service.rules import examine_order, refusal, waiting_refusal
from matching_service.state import LIMIT, Copy, LiveMarket, Refusal, State

STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
Legs = tuple[Order, Order]


def examine_pair(state: State, command: PlacePair) -> Copy | Refusal | None:
    """Say whether one of the two was entered before, or they must leave no trace."""
    return examine_order(state, command.first) or examine_order(state, command.second)


def place_pair(state: State, command: PlacePair) -> list[Event]:
    """Enter both orders, which hold once what the larger one needs, or refuse both by the first rule that is broken."""
    market = state.markets[command.first.symbol]
    legs = _enter(state, market, command)
    late = _lateness(state, command)
    if late is not None:
        return [event for leg in legs for event in expire(leg, late)]
    needed = max(leg.hold_per_lot * leg.remaining_lots for leg in legs)
    code = _first_refusal(market, legs, needed)
    if code is not None:
        return [reject(leg, code) for leg in legs]
    spends = legs[0].spends
    spends.available -= needed
    spends.held += needed
    if spends.noted < state.batch_start:
        state.note(spends)
    events: list[Event] = []
    for leg in sorted(legs, key=lambda leg: not leg.is_waiting):
        if leg.is_waiting:
            market.triggers.add(leg, market.figures.last_price_ticks)
            state.open(leg)
        else:
            events = _work(state, market, leg)
    return [*(accepted(leg) for leg in legs), *events]


def place_poisoned(state: State, command: PlacePair) -> list[Event]:
    """Refuse a pair that could not be applied; both ids are used up."""
    return [reject(leg, "engine.refused") for leg in _enter(state, state.markets[command.first.symbol], command)]


def _enter(state: State, market: LiveMarket, command: PlacePair) -> Legs:
    """Make the two orders, each of which names the other, and use up their ids, the lesser first.

    That order is the one in which ids of one sequence are forgotten, and that the tables know.
    """
    first, second = (state.order(market, replace(leg, queue_deadlines=None)) for leg in (command.first, command.second))
    assert first.placed.side is second.placed.side
    assert first.trader is second.trader
    assert (first.placed.type in STOPS) is not (second.placed.type in STOPS)
    second.priority_sequence = state.next_priority()
    for leg, other in ((first, second), (second, first)):
        leg.partner_id = other.placed.order_id
        leg.is_waiting = leg.placed.type is not LIMIT
    for leg in sorted((first, second), key=lambda leg: leg.placed.order_id):
        enter(state, leg)
    state.subjects = (first, second)
    return first, second


def _lateness(state: State, command: PlacePair) -> str | None:
    """Return why the pair comes too late, if it does; one that waited for a leader could take liquidity."""
    for leg in (command.first, command.second):
        if leg.queue_deadlines is not None and leg.queue_deadlines[1] < state.time:
            return "queue_deadline"
        if is_late(state, leg):
            return "expired"
    return None


def _first_refusal(market: LiveMarket, legs: Legs, needed: int) -> str | None:
    """Return the first rule that one of the two breaks, as if the other were open already."""
    for leg in legs:
        others, available = len(leg.trader.order_ids) + 1, leg.spends.available
        if leg.is_waiting:
            code = waiting_refusal(market, leg, needed, available, others)
        else:
            code = refusal(market, leg, needed, available, *market.book.plan(leg), others)
        if code is not None:
            return code
    return None


def _work(state: State, market: LiveMarket, leg: Order) -> list[Event]:
    """Let the limit order trade and rest; when it is not whole any more the other, which waits, is canceled."""
    lots = leg.remaining_lots
    fills, ending = market.book.plan(leg)
    events = work(state, market, leg, leg.spends, fills, ending)
    if leg.ended is not None or leg.remaining_lots < lots:
        events += part(state, market, leg, leg.hold_per_lot * lots)
    return events
