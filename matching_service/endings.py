"""How an order ends before it is filled: refused, canceled or expired; it decides neither which nor when."""

from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, OrderCanceled, OrderRejected
from exchange.orders import OrderStatus
from matching_service.accounts import Balance
from matching_service.book import BUY, Order
from matching_service.state import LiveMarket, State

# A name of this module costs 14 ns, an attribute of an enum class 40.
CANCELED, EXPIRED, REJECTED = OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED
EXPIRES = ("expired", "queue_deadline")
"""The reasons for which an order ends expired instead of canceled."""


def reject(order: Order, code: str) -> OrderRejected:
    """End `order` before it began."""
    placed = order.placed
    order.ended = REJECTED
    order.reason = code
    return OrderRejected(placed.order_id, placed.account_id, placed.symbol, code)


def cancel(state: State, market: LiveMarket, order: Order, reason: str) -> OrderCanceled:
    """Take an open order out of the book and give back what it held."""
    placed, trader = order.placed, order.trader
    spends = trader.quote if placed.side is BUY else trader.base
    canceled = end(order, spends, reason, order.remaining_lots)
    market.book.remove(order)
    state.close(order)
    state.touch(order)
    if spends.noted < state.batch_start:
        state.note(spends)
    return canceled


def end(order: Order, spends: Balance, reason: str, resting_lots: int) -> OrderCanceled:
    """Cancel what remains of an order and release its hold; `resting_lots` leave the book by it."""
    placed, lots = order.placed, order.remaining_lots
    order.ended = EXPIRED if reason in EXPIRES else CANCELED
    order.reason = reason
    held = order.hold_per_lot * lots
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
