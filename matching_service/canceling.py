"""The commands that cancel: one order, or those of an account; it only finds them."""

from exchange.commands import CancelOrder, CancelOrders
from exchange.events import Event
from exchange.markets import MarketStatus
from matching_service.book import Order
from matching_service.endings import cancel, refused
from matching_service.rules import UNKNOWN_MARKET
from matching_service.state import Copy, LiveMarket, Refusal, State

HALTED = MarketStatus.HALTED


def examine_cancel(state: State, command: CancelOrder) -> Copy | None:
    """Say whether the request was done before."""
    request_id = command.request_id
    return state.copy_of_request(request_id) if request_id in state.request_ids.sequences else None


def examine_cancels(state: State, command: CancelOrders) -> Copy | Refusal | None:
    """Say whether the request was done before, or there is no such market."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    return None if command.symbol is None or command.symbol in state.markets else UNKNOWN_MARKET


def cancel_order(state: State, command: CancelOrder) -> list[Event]:
    """Cancel one open order of the account, or refuse."""
    if command.request_id:
        state.request_ids.sequences[command.request_id] = state.sequence
    order = state.orders.get(command.order_id)
    if order is None or order.trader.account_id != command.account_id:
        return [refused("order.not_cancelable")]
    market = state.markets[order.placed.symbol]
    if market.settings.status is HALTED:
        return [refused("order.market_closed")]
    state.subjects = (order,)
    return cancel(state, market, order, "user")


def cancel_orders(state: State, command: CancelOrders) -> list[Event]:
    """Cancel the account's open orders of one market and side, or of all; a halted market keeps its own.

    Naming a halted market is refused: an answer of none would read as if none were open.
    """
    state.remember(command.request_id)
    markets = state.markets.values() if command.symbol is None else [state.markets[command.symbol]]
    if command.symbol is not None and state.markets[command.symbol].settings.status is HALTED:
        return [refused("order.market_closed")]
    found: list[tuple[int, LiveMarket, Order]] = []
    for market in markets:
        trader = market.traders.get(command.account_id)
        if trader is None or market.settings.status is HALTED:
            continue
        orders = [state.orders[order_id] for order_id in trader.order_ids]
        found += [
            (order.priority_sequence, market, order)
            for order in orders
            if command.side is None or order.placed.side is command.side
        ]
    found.sort(key=lambda item: item[0])
    events: list[Event] = []
    for _, market, order in found:
        if order.ended is None:
            events += cancel(state, market, order, "user")
    return events
