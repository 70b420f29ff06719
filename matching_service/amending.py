"""The command that amends an open order: its total quantity, its price; a refused one changes nothing."""

from msgspec.structs import replace

from exchange.amounts import UNITS_BOUND
from exchange.commands import AmendOrder
from exchange.events import CommandRefused, Event, OrderAmended
from exchange.orders import PlaceOrder
from matching_service.book import NOTHING, Ending, Fill, Order
from matching_service.endings import refused
from matching_service.matching import work
from matching_service.rules import reduction_refusal, refusal
from matching_service.state import Copy, LiveMarket, Refusal, State


def examine_amend(state: State, command: AmendOrder) -> Copy | Refusal | None:
    """Say whether the request was done before, or asks what no order in this market could have."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    order = state.orders.get(command.order_id)
    if order is None or order.trader.account_id != command.account_id:
        return None
    market = state.markets[order.placed.symbol]
    settings = market.settings
    if command.price is not None:
        if order.placed.price_ticks is None:
            return Refusal("order.combination", f"A {order.placed.type} order has no price.", "price")
        if command.price % settings.tick_size or not command.price:
            return Refusal("order.price_tick", "The price is no multiple of the tick_size.", "price")
    if command.quantity is not None and command.quantity % settings.lot_size:
        return Refusal("order.lot_size", "The quantity is no multiple of the lot_size.", "quantity")
    wished = _wished(market, order, command)
    assert wished.quantity_lots is not None
    if wished.quantity_lots * (wished.price_ticks or 0) * market.quote_units_per_tick_lot >= UNITS_BOUND:
        field = "price" if command.quantity is None else "quantity"
        return Refusal("request.invalid", "Price x quantity is too large.", field)
    return None


def amend_order(state: State, command: AmendOrder) -> list[Event]:
    """Change an order, or refuse: less quantity at the same price keeps its priority, all else goes to the back."""
    state.remember(command.request_id)
    if command.queue_deadline is not None and state.time > command.queue_deadline:
        return [CommandRefused("engine.refused", "The amendment waited too long for a leader.")]
    order = state.orders.get(command.order_id)
    if order is None or order.trader.account_id != command.account_id:
        return [refused("order.not_cancelable")]
    if order.partner_id is not None and order.partner_id in state.orders:
        return [CommandRefused("order.combination", "A leg of a pair cannot be amended.", "order_id")]
    market = state.markets[order.placed.symbol]
    wished = _wished(market, order, command)
    becomes = _changed(state, market, order, wished)
    if becomes.remaining_lots <= 0:
        return [CommandRefused("request.invalid", "The quantity must be above what is filled.", "quantity")]
    state.subjects = (order,)
    if becomes.key == order.key and becomes.remaining_lots <= order.remaining_lots:
        return _reduce(state, market, order, becomes, wished)
    return _replace(state, market, order, becomes, wished)


def _reduce(state: State, market: LiveMarket, order: Order, becomes: Order, wished: PlaceOrder) -> list[Event]:
    """Take quantity from an order that stays where it is; none leaves it as it is."""
    code = reduction_refusal(market, becomes)
    if code is not None:
        return [refused(code)]
    old, old_resting_lots = order.placed, order.shown_lots
    if becomes.remaining_lots < order.remaining_lots:
        _become(state, order, becomes, wished)
        if order.displayed_lots is not None:
            order.displayed_lots = min(order.displayed_lots, order.remaining_lots)
    return [_amended(order, old, old_resting_lots, priority_kept=True)]


def _replace(state: State, market: LiveMarket, order: Order, becomes: Order, wished: PlaceOrder) -> list[Event]:
    """Let an order go to the back at another price or with more quantity, where it may trade."""
    fills, ending = NOTHING if order.is_waiting else market.book.plan(becomes)
    code = _replacement_refusal(market, order, becomes, fills, ending)
    if code is not None:
        return [refused(code)]
    old, old_resting_lots = order.placed, order.shown_lots
    if order.is_waiting:
        market.triggers.remove(order)
    else:
        market.book.take_out(order)
        order.displayed_lots = None
    state.close(order)
    order.priority_sequence = state.next_priority()
    _become(state, order, becomes, wished)
    events: list[Event] = []
    if order.is_waiting:
        market.triggers.restore(order, market.figures.last_price_ticks)
        state.open(order)
    else:
        events = work(state, market, order, order.spends, fills, ending)
    return [_amended(order, old, old_resting_lots, priority_kept=False), *events]


def _replacement_refusal(
    market: LiveMarket, order: Order, becomes: Order, fills: list[Fill], ending: Ending
) -> str | None:
    needed = max(0, becomes.hold_per_lot * becomes.remaining_lots - order.hold_per_lot * order.remaining_lots)
    others = len(order.trader.order_ids) - 1
    return refusal(market, becomes, needed, order.spends.available, fills, ending, others)


def _become(state: State, order: Order, becomes: Order, wished: PlaceOrder) -> None:
    """Change what an order asks for, and what it holds for it."""
    spends = order.spends
    more = becomes.hold_per_lot * becomes.remaining_lots - order.hold_per_lot * order.remaining_lots
    spends.available -= more
    spends.held += more
    assert spends.available >= 0 <= spends.held
    if spends.noted < state.batch_start:
        state.note(spends)
    order.placed = wished
    order.key = becomes.key
    order.hold_per_lot = becomes.hold_per_lot
    order.remaining_lots = becomes.remaining_lots
    state.touch(order)


def _wished(market: LiveMarket, order: Order, command: AmendOrder) -> PlaceOrder:
    """Return the order as it would have been asked for."""
    placed, settings = order.placed, market.settings
    lots = placed.quantity_lots if command.quantity is None else command.quantity // settings.lot_size
    price_ticks = placed.price_ticks if command.price is None else command.price // settings.tick_size
    return replace(placed, quantity_lots=lots, price_ticks=price_ticks)


def _changed(state: State, market: LiveMarket, order: Order, wished: PlaceOrder) -> Order:
    """Return the order as it would be.

    An order that must not match at once may be amended in an auction, although it may not be entered: nothing matches.
    """
    becomes = state.order(market, replace(wished, post_only=wished.post_only and not market.book.is_collecting))
    becomes.remaining_lots -= order.filled_lots + order.prevented_lots
    becomes.is_waiting = order.is_waiting
    return becomes


def _amended(order: Order, old: PlaceOrder, old_resting_lots: int, priority_kept: bool) -> OrderAmended:
    placed, spends = order.placed, order.spends
    assert placed.quantity_lots is not None
    return OrderAmended(
        placed.order_id, placed.account_id, placed.symbol, placed.side,
        old.price_ticks, old_resting_lots, placed.price_ticks, order.shown_lots,
        placed.quantity_lots, order.remaining_lots, priority_kept, spends.available, spends.held,
    )  # fmt: skip
