"""Orders entered and canceled: what is checked, who trades, what is paid and held; it knows no other command."""

from msgspec.structs import replace

from exchange.amounts import UNITS_BOUND
from exchange.commands import CancelOrder, CancelOrders
from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event, OrderAccepted, OrderCanceled, OrderRejected
from exchange.markets import MarketStatus
from exchange.orders import OrderStatus, PlaceOrder, TimeInForce
from matching_service.accounts import Balance
from matching_service.book import BUY, DONE, NO_MATCH, OWN_ORDER, TOO_MANY, Ending, Fill, Order
from matching_service.settlement import settle
from matching_service.state import FOK, IOC, LIMIT, MARKET, NOT_FOUND, Copy, LiveMarket, Refusal, State

MAX_OPEN_ORDERS = 1000
"""The open orders that an account may have in a market."""
UNKNOWN_MARKET = Refusal("request.invalid", "There is no such market.", "symbol")
# A name of this module costs 14 ns, an attribute of an enum class 40.
OPEN, HALTED = MarketStatus.OPEN, MarketStatus.HALTED
GTC = TimeInForce.GTC
FILLED, CANCELED, REJECTED = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED
EXPIRED = OrderStatus.EXPIRED


def examine_order(state: State, placed: PlaceOrder) -> Copy | Refusal | None:
    """Say whether the order was entered before, or must leave no trace."""
    sequence = state.recent_ids.sequences.get(placed.order_id)
    if sequence is not None:
        return Copy(sequence)
    market = state.markets.get(placed.symbol)
    if market is None:
        return UNKNOWN_MARKET
    if placed.account_id not in state.accounts.by_id:
        return NOT_FOUND
    lots, price_ticks = placed.quantity_lots, placed.price_ticks
    if lots is None:
        assert placed.quote_quantity is not None
        if placed.quote_quantity >= UNITS_BOUND:
            return Refusal("request.invalid", "The amount is too large.", "quote_quantity")
    elif price_ticks is not None and lots * price_ticks * market.quote_units_per_tick_lot >= UNITS_BOUND:
        return Refusal("request.invalid", "Price x quantity is too large.", "quantity")
    return None


def place(state: State, placed: PlaceOrder) -> list[Event]:
    """Match an order and rest what may rest of it, or refuse it; its id is used up either way."""
    if placed.queue_deadlines is not None:
        return _place_queued(state, placed, placed.queue_deadlines)
    market = state.markets[placed.symbol]
    order = state.order(market, placed)
    state.recent_ids.sequences[placed.order_id] = state.sequence
    state.changed_orders.append(order)
    state.subject = order
    fills, ending = market.book.plan(order)
    needed = order.hold_per_lot * order.remaining_lots or _spending(market, order, fills)
    spends = order.trader.quote if placed.side is BUY else order.trader.base
    code = _refusal(market, order, needed, spends.available, fills, ending)
    if code is not None:
        return [_reject(order, code)]
    if order.hold_per_lot:
        spends.available -= needed
        spends.held += needed
    if spends.noted < state.batch_start:
        state.note(spends)
    events: list[Event] = []
    if fills and (ending is DONE or placed.time_in_force is not FOK):
        events += settle(state, market, order, fills)
    resting_lots = 0
    if ending is NO_MATCH and placed.time_in_force is GTC:
        resting_lots = order.remaining_lots
        market.book.add(order)
        order.trader.order_ids.add(placed.order_id)
        state.orders[placed.order_id] = order
    elif ending is DONE:
        order.ended = FILLED
    else:
        events.append(_end(order, spends, _reason(placed, ending), 0))
    accepted = OrderAccepted(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        resting_lots, spends.available, spends.held,
    )  # fmt: skip
    return [accepted, *events] if events else [accepted]


def _place_queued(state: State, queued: PlaceOrder, deadlines: tuple[int, int]) -> list[Event]:
    """Enter an order that waited for a leader, or end it where it waited too long."""
    placed = replace(queued, queue_deadlines=None)
    latest, latest_to_take = deadlines
    if state.time <= latest_to_take:
        return place(state, placed)
    market = state.markets[placed.symbol]
    order = state.order(market, placed)
    if state.time <= latest and not (placed.type is LIMIT and market.book.plan(order)[0]):
        return place(state, placed)
    state.recent_ids.sequences[placed.order_id] = state.sequence
    state.changed_orders.append(order)
    state.subject = order
    order.ended = EXPIRED
    order.reason = "queue_deadline"
    of, balance = (placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks), order.spends
    remaining = None if placed.quantity_lots is None else order.remaining_lots
    return [
        OrderAccepted(*of, 0, balance.available, balance.held),
        OrderCanceled(*of, remaining, 0, "queue_deadline", balance.available, balance.held),
    ]


def check(state: State, placed: PlaceOrder) -> str | None:
    """Return the code with which `place` would refuse the order now, None if it would take it."""
    market = state.markets[placed.symbol]
    order = state.order(market, placed)
    fills, ending = market.book.plan(order)
    needed = order.hold_per_lot * order.remaining_lots or _spending(market, order, fills)
    return _refusal(market, order, needed, order.spends.available, fills, ending)


def place_poisoned(state: State, placed: PlaceOrder) -> list[Event]:
    """Refuse an order that could not be applied; its id is used up."""
    order = state.order(state.markets[placed.symbol], placed)
    state.recent_ids.sequences[placed.order_id] = state.sequence
    state.changed_orders.append(order)
    state.subject = order
    return [_reject(order, "engine.refused")]


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
    return [_cancel(state, market, order, "user")]


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
    return [_cancel(state, market, order, "user") for _, market, order in found]


def _spending(market: LiveMarket, order: Order, fills: list[Fill]) -> int:
    """Return what an order that holds nothing is going to spend at most: its quote quantity, or what its walk costs."""
    if order.placed.quote_quantity is not None:
        return order.placed.quote_quantity
    return sum(abs(maker.key) * lots for maker, lots in fills) * market.quote_units_per_tick_lot


def _refusal(
    market: LiveMarket, order: Order, needed: int, available: int, fills: list[Fill], ending: Ending
) -> str | None:
    """Return the first rule that `order` breaks, given what it needs, what there is, and whom it would trade with."""
    placed, settings = order.placed, market.settings
    if settings.status is not OPEN:
        return "order.market_closed"
    lots, price_ticks = placed.quantity_lots, placed.price_ticks
    if lots is None:
        if needed < settings.min_notional:
            return "order.min_notional"
    else:
        if price_ticks is not None and lots * price_ticks * market.quote_units_per_tick_lot < settings.min_notional:
            return "order.min_notional"
        if lots > settings.max_quantity:
            return "order.max_quantity"
    if placed.time_in_force is GTC and len(order.trader.order_ids) >= MAX_OPEN_ORDERS:
        return "order.too_many_open"
    if placed.post_only and (fills or ending is not NO_MATCH):
        return "order.would_cross"
    if needed > available:
        return "order.insufficient_funds"
    return None


def _reject(order: Order, code: str) -> OrderRejected:
    """End `order` before it began."""
    placed = order.placed
    order.ended = REJECTED
    order.reason = code
    return OrderRejected(placed.order_id, placed.account_id, placed.symbol, code)


def _reason(placed: PlaceOrder, ending: Ending) -> str:
    """Return why the rest of an order that ended so is canceled."""
    if placed.time_in_force is FOK:
        return "fok_unfilled"
    if ending is OWN_ORDER:
        return "self_trade"
    if ending is TOO_MANY or placed.type is MARKET:
        return "insufficient_liquidity"
    assert placed.time_in_force is IOC
    return "ioc_remainder"


def _cancel(state: State, market: LiveMarket, order: Order, reason: str) -> OrderCanceled:
    """Take an open order out of the book and give back what it held."""
    placed, trader = order.placed, order.trader
    spends = trader.quote if placed.side is BUY else trader.base
    canceled = _end(order, spends, reason, order.remaining_lots)
    market.book.remove(order)
    trader.order_ids.remove(placed.order_id)
    del state.orders[placed.order_id]
    if order.sequence < state.batch_start:
        state.changed_orders.append(order)
    order.sequence = state.sequence
    order.updated_time = state.time
    state.subject = order
    if spends.noted < state.batch_start:
        state.note(spends)
    return canceled


def _end(order: Order, spends: Balance, reason: str, resting_lots: int) -> OrderCanceled:
    """Cancel what remains of an order and release its hold; `resting_lots` leave the book by it."""
    placed, lots = order.placed, order.remaining_lots
    order.ended = CANCELED
    order.reason = reason
    held = order.hold_per_lot * lots
    spends.held = still_held = spends.held - held
    spends.available = available = spends.available + held
    assert still_held >= 0
    return OrderCanceled(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        None if placed.quantity_lots is None else lots, resting_lots, reason, available, still_held,
    )  # fmt: skip


def refused(code: str) -> CommandRefused:
    """Return the event of a command that was refused with `code`."""
    return CommandRefused(code, DETAIL_OF_CODE[code])
