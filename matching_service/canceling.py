"""The commands that cancel: one order, or those of an account; it only finds them."""

from collections.abc import Iterable

from exchange.commands import CancelOrder, CancelOrders
from exchange.events import Event
from exchange.markets import MarketStatus
from matching_service.accounts import SUSPENDED
from matching_service.book import Order
from matching_service.endings import cancel, leave, refused
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
        return [refused("account.suspended" if _is_suspended(state, command.account_id) else "order.not_cancelable")]
    if not order.trader.may_cancel:
        return [refused("account.suspended")]
    market = state.markets[order.placed.symbol]
    if market.settings.status is HALTED:
        return [refused("order.market_closed")]
    state.subjects = (order,)
    return [leave(state, market, order, "user")] if not order.has_options else cancel(state, market, order, "user")


def cancel_orders(state: State, command: CancelOrders) -> list[Event]:
    """Cancel the account's open orders of one market and side, or of all; a halted market keeps its own.

    Naming a halted market is refused: an answer of none would read as if none were open.
    """
    state.remember(command.request_id)
    if _is_suspended(state, command.account_id):
        return [refused("account.suspended")]
    markets = state.markets.values() if command.symbol is None else [state.markets[command.symbol]]
    if command.symbol is not None and state.markets[command.symbol].settings.status is HALTED:
        return [refused("order.market_closed")]
    found = _open_orders(state, command.account_id, [each for each in markets if each.settings.status is not HALTED])
    if command.side is not None:
        found = [(market, order) for market, order in found if order.placed.side is command.side]
    return _cancel(state, found, "user")


def cancel_all(state: State, account_id: str, reason: str) -> list[Event]:
    """Cancel every open order of an account, in halted markets too."""
    found = _open_orders(state, account_id, state.markets.values())
    return _cancel(state, found, reason)


def _cancel(state: State, found: list[tuple[LiveMarket, Order]], reason: str) -> list[Event]:
    """Cancel orders, of a pair the older for this reason."""
    events: list[Event] = []
    for market, order in found:
        if order.ended is None:
            events += cancel(state, market, order, reason)
    return events


def _is_suspended(state: State, account_id: str) -> bool:
    account = state.accounts.by_id.get(account_id)
    return account is not None and account.status == SUSPENDED


def _open_orders(state: State, account_id: str, markets: Iterable[LiveMarket]) -> list[tuple[LiveMarket, Order]]:
    """Return the open orders of an account, oldest first."""
    found: list[tuple[LiveMarket, Order]] = []
    for market in markets:
        trader = market.traders.get(account_id)
        if trader is not None:
            found += [(market, state.orders[order_id]) for order_id in trader.order_ids]
    return sorted(found, key=lambda item: item[1].priority_sequence)
