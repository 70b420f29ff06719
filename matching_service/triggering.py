"""A waiting order whose price was reached becomes active; it decides neither which nor when."""

from exchange.events import Event, OrderTriggered
from matching_service.book import MAX_FILLS, TOO_MANY, Order
from matching_service.endings import end, part
from matching_service.matching import work
from matching_service.rules import spending
from matching_service.state import LiveMarket, State


def fire(state: State, market: LiveMarket, order: Order, most: int) -> list[Event]:
    """Let an order that waited trade and then rest or end; return nothing where it needs more than `most` trades.

    Such an order goes on waiting, for a command that has more trades left.
    """
    fills, ending = market.book.plan(order, most)
    if ending is TOO_MANY and most < MAX_FILLS:
        return []
    placed, spends = order.placed, order.spends
    state.close(order)
    state.touch(order)
    order.is_waiting = False
    events: list[Event] = []
    if order.partner_id is not None:
        events += part(state, market, order, order.hold_per_lot * order.remaining_lots)
    if spends.noted < state.batch_start:
        state.note(spends)
    if not order.hold_per_lot and spending(market, order, fills) > spends.available:
        events.append(end(order, spends, "insufficient_funds", 0))
    else:
        order.priority_sequence = state.next_priority()
        events += work(state, market, order, spends, fills, ending)
    triggered = OrderTriggered(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        order.shown_lots, spends.available, spends.held,
    )  # fmt: skip
    return [triggered, *events]
