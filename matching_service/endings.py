"""How an order ends before it is filled: refused, canceled or expired; it decides neither which nor when."""

from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event, OrderCanceled, OrderRejected
from exchange.orders import OrderStatus
from matching_service.accounts import Balance
from matching_service.book import BUY, Order
from matching_service.state import LiveMarket, State

# A name of this module costs 14 ns, an attribute of an enum class 40.
CANCELED, EXPIRED, REJECTED = OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED
EXPIRES = frozenset(("expired", "queue_deadline"))
"""The reasons for which an order ends expired instead of canceled."""


def reject(order: Order, code: str) -> OrderRejected:
    """End `order` before it began."""
    placed = order.placed
    order.ended = REJECTED
    order.reason = code
    return OrderRejected(placed.order_id, placed.account_id, placed.symbol, code)


def cancel(state: State, market: LiveMarket, order: Order, reason: str) -> list[Event]:
    """Take an open order out of its market and give back what it held; the other leg of its pair ends with it."""
    if order.partner_id is None or order.partner_id not in state.orders:
        return [leave(state, market, order, reason)]
    partner = state.orders[order.partner_id]
    kept = partner.hold_per_lot * partner.remaining_lots
    return [leave(state, market, order, reason, kept), leave(state, market, partner, "oco")]


def part(state: State, market: LiveMarket, order: Order, held: int) -> list[Event]:
    """Cancel the other leg of a pair, if it is open, since `order` went its way; `held` is what that held before."""
    assert order.partner_id is not None
    partner = state.orders.get(order.partner_id)
    return [] if partner is None else [leave(state, market, partner, "oco", held)]


def leave(state: State, market: LiveMarket, order: Order, reason: str, kept: int = 0) -> OrderCanceled:
    """End an open order alone; `kept` of what it held stays held, for the other leg of its pair."""
    placed, trader = order.placed, order.trader
    spends = trader.quote if placed.side is BUY else trader.base
    if order.has_options:
        canceled = end(order, spends, reason, order.shown_lots, kept)
        _leave_place(state, market, order)
    else:
        canceled = end(order, spends, reason, order.remaining_lots, kept)
        market.book.remove(order)
    trader.order_ids.remove(placed.order_id)
    del state.orders[placed.order_id]
    if order.sequence < state.batch_start:
        state.changed_orders.append(order)
    order.sequence = state.sequence
    order.updated_time = state.time
    if spends.noted < state.batch_start:
        state.note(spends)
    return canceled


def _leave_place(state: State, market: LiveMarket, order: Order) -> None:
    """Take an order with options away from wherever it stands."""
    state.disarm(order)
    if order.is_waiting:
        market.triggers.remove(order)
    else:
        market.book.remove(order)


def end(order: Order, spends: Balance, reason: str, resting_lots: int, kept: int = 0) -> OrderCanceled:
    """Cancel what remains of an order and release its hold beyond `kept`; `resting_lots` leave the book by it."""
    placed, lots = order.placed, order.remaining_lots
    order.ended = EXPIRED if reason in EXPIRES else CANCELED
    order.reason = reason
    held = order.hold_per_lot * lots
    if kept:
        held = max(0, held - kept)
    spends.held = still_held = spends.held - held
    spends.available = available = spends.available + held
    assert still_held >= 0
    return OrderCanceled(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        None if placed.quantity_lots is None else lots, resting_lots, reason, available, still_held,
    )  # fmt: skip


def refused(code: str, field: str | None = None) -> CommandRefused:
    """Return the event of a command that was refused with `code`."""
    return CommandRefused(code, DETAIL_OF_CODE[code], field)
