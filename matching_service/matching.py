"""An active order trades as planned, and what is left of it rests or ends; it asks no more whether it may."""

from exchange.events import Event, Trade
from exchange.orders import OrderStatus, PlaceOrder
from matching_service.accounts import Balance
from matching_service.auctions import start_volatility
from matching_service.book import (
    DECREMENTED,
    DONE,
    NO_MATCH,
    OUT_OF_BAND,
    OWN_ORDER,
    TOO_MANY,
    Ending,
    Fill,
    Order,
    next_slice,
)
from matching_service.endings import end
from matching_service.settlement import settle
from matching_service.state import FOK, GTC, IOC, LiveMarket, State

FILLED = OrderStatus.FILLED


def work(
    state: State, market: LiveMarket, order: Order, spends: Balance, fills: list[Fill], ending: Ending
) -> list[Event]:
    """Let an order that holds what it needs trade with `fills`, then rest or end; return what happened."""
    placed = order.placed
    events: list[Event] = []
    tif = placed.time_in_force
    if fills and (ending is DONE or tif is not FOK or ending is DECREMENTED):
        events = settle(state, market, order, fills)
        see_price(state, market, events)
    if (ending is NO_MATCH or ending is OUT_OF_BAND) and may_rest(placed):
        if placed.display_lots is not None:
            order.displayed_lots = next_slice(order, order.remaining_lots)
        market.book.add(order)
        state.open(order)
    elif ending is DONE:
        order.ended = FILLED
    else:
        events.append(end(order, spends, _reason(placed, ending), 0))
    if ending is OUT_OF_BAND and placed.time_in_force is not FOK:
        events += start_volatility(state, market)
    return events


def see_price(state: State, market: LiveMarket, events: list[Event]) -> None:
    """Let the price of the last trade among `events`, which end with those of one order, be the market's last price."""
    figures = market.figures
    for event in reversed(events):
        if type(event) is Trade:
            if event.price_ticks != figures.last_price_ticks:
                figures.last_price_ticks = event.price_ticks
                state.unsettled[market] = None
            return


def may_rest(placed: PlaceOrder) -> bool:
    """Say whether what is left of an active order stays in the book."""
    tif = placed.time_in_force
    return placed.price_ticks is not None and (tif is GTC or (tif is not IOC and tif is not FOK))


def _reason(placed: PlaceOrder, ending: Ending) -> str:
    """Return why the rest of an order that ended so is canceled."""
    if ending is DECREMENTED:
        return "self_trade"
    if placed.time_in_force is FOK:
        return "fok_unfilled"
    if ending is OWN_ORDER:
        return "self_trade"
    if ending is TOO_MANY or ending is OUT_OF_BAND or placed.price_ticks is None:
        return "insufficient_liquidity"
    assert placed.time_in_force is IOC
    return "ioc_remainder"
