"""The command that enters an order: refused, or matched and rested; it knows no other command."""

from msgspec.structs import replace

from exchange.events import Event, OrderAccepted, OrderCanceled
from exchange.orders import PlaceOrder
from matching_service.book import BUY, NOTHING, Order
from matching_service.endings import EXPIRED, reject
from matching_service.matching import work
from matching_service.rules import refusal, spending, waiting_refusal
from matching_service.state import GTC, GTD, LIMIT, MARKET, LiveMarket, State


def place(state: State, placed: PlaceOrder) -> list[Event]:
    """Match an order and rest what may rest of it, or refuse it; its id is used up either way."""
    if placed.queue_deadlines is not None:
        return _place_queued(state, placed, placed.queue_deadlines)
    market = state.markets[placed.symbol]
    order = state.order(market, placed)
    order_id, tif, trader, hold_per_lot = placed.order_id, placed.time_in_force, order.trader, order.hold_per_lot
    state.recent_ids.sequences[order_id] = state.sequence
    state.changed_orders.append(order)
    state.subjects = (order,)
    if tif is GTD and is_late(state, placed):
        return expire(order, "expired")
    kind = placed.type
    if kind is not LIMIT and kind is not MARKET:
        return _wait(state, market, order)
    plan = fills, ending = market.book.plan(order)
    needed = hold_per_lot * order.remaining_lots or spending(market, order, fills)
    spends = trader.quote if placed.side is BUY else trader.base
    code = refusal(market, order, needed, spends.available, fills, ending, len(trader.order_ids))
    if code is not None:
        return [reject(order, code)]
    if hold_per_lot:
        spends.available -= needed
        spends.held += needed
    if spends.noted < state.batch_start:
        state.note(spends)
    events: list[Event] = []
    shown_lots = order.remaining_lots
    if plan is NOTHING and tif is GTC and placed.display_lots is None:
        # Most orders only rest: what `work` and `open` would ask of them in vain is 17 % of this path.
        market.book.add(order)
        trader.order_ids.add(order_id)
        state.orders[order_id] = order
    else:
        events = work(state, market, order, spends, fills, ending)
        shown_lots = order.shown_lots if order.ended is None else 0
    taken = OrderAccepted(
        order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        shown_lots, spends.available, spends.held,
    )  # fmt: skip
    return [taken, *events] if events else [taken]


def is_late(state: State, placed: PlaceOrder) -> bool:
    """Say whether an order comes when it would have expired already."""
    return placed.expire_time is not None and placed.expire_time <= state.time


def accepted(order: Order) -> OrderAccepted:
    """Return the event that an order was taken, with what it shows now."""
    placed, spends = order.placed, order.spends
    return OrderAccepted(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        order.shown_lots, spends.available, spends.held,
    )  # fmt: skip


def check(state: State, placed: PlaceOrder) -> str | None:
    """Return the code with which `place` would refuse the order now, None if it would take it."""
    market = state.markets[placed.symbol]
    if is_late(state, placed):
        return None
    order = state.order(market, placed)
    if placed.type is not LIMIT and placed.type is not MARKET:
        order.is_waiting = True
        needed = order.hold_per_lot * order.remaining_lots
        return waiting_refusal(market, order, needed, order.spends.available, len(order.trader.order_ids))
    fills, ending = market.book.plan(order)
    needed = order.hold_per_lot * order.remaining_lots or spending(market, order, fills)
    return refusal(market, order, needed, order.spends.available, fills, ending, len(order.trader.order_ids))


def place_poisoned(state: State, placed: PlaceOrder) -> list[Event]:
    """Refuse an order that could not be applied; its id is used up."""
    order = state.order(state.markets[placed.symbol], placed)
    enter(state, order)
    return [reject(order, "engine.refused")]


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
    enter(state, order)
    return expire(order, "queue_deadline")


def _wait(state: State, market: LiveMarket, order: Order) -> list[Event]:
    """Let an order wait for its trigger, or refuse it; it holds from now on what it will need."""
    order.is_waiting = True
    spends = order.spends
    needed = order.hold_per_lot * order.remaining_lots
    code = waiting_refusal(market, order, needed, spends.available, len(order.trader.order_ids))
    if code is not None:
        return [reject(order, code)]
    spends.available -= needed
    spends.held += needed
    if spends.noted < state.batch_start:
        state.note(spends)
    market.triggers.add(order, market.figures.last_price_ticks)
    state.open(order)
    return [accepted(order)]


def expire(order: Order, reason: str) -> list[Event]:
    """End an order that came too late, before it held anything."""
    placed, spends = order.placed, order.spends
    order.is_waiting = False
    order.ended = EXPIRED
    order.reason = reason
    of = (placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks)
    remaining = None if placed.quantity_lots is None else order.remaining_lots
    return [
        OrderAccepted(*of, 0, spends.available, spends.held),
        OrderCanceled(*of, remaining, 0, reason, spends.available, spends.held),
    ]


def enter(state: State, order: Order) -> None:
    """Use up the id of a new order, and make it what the command is about."""
    state.recent_ids.sequences[order.placed.order_id] = state.sequence
    state.changed_orders.append(order)
    state.subjects = (order,)
