"""An active order trades as planned, and what is left of it rests or ends; it asks no more whether it may."""

from exchange.events import Event
from exchange.orders import OrderStatus, PlaceOrder
from matching_service.accounts import Balance
from matching_service.auctions import start_volatility
from matching_service.book import DONE, NO_MATCH, OUT_OF_BAND, OWN_ORDER, TOO_MANY, Ending, Fill, Order
from matching_service.endings import end
from matching_service.settlement import settle
from matching_service.state import FOK, GTC, IOC, MARKET, LiveMarket, State

FILLED = OrderStatus.FILLED


def work(
    state: State, market: LiveMarket, order: Order, spends: Balance, fills: list[Fill], ending: Ending
) -> list[Event]:
    """Let an order that holds what it needs trade with `fills`, then rest or end; return what happened."""
    placed = order.placed
    events: list[Event] = []
    if fills and (ending is DONE or placed.time_in_force is not FOK):
        events += settle(state, market, order, fills)
        price_ticks = abs(fills[-1][0].key)
        if price_ticks != market.figures.last_price_ticks:
            market.figures.last_price_ticks = price_ticks
            state.unsettled[market] = None
    if (ending is NO_MATCH or ending is OUT_OF_BAND) and placed.time_in_force is GTC:
        market.book.add(order)
        state.open(order)
    elif ending is DONE:
        order.ended = FILLED
    else:
        events.append(end(order, spends, _reason(placed, ending), 0))
    if ending is OUT_OF_BAND and placed.time_in_force is not FOK:
        events += start_volatility(state, market)
    return events


def _reason(placed: PlaceOrder, ending: Ending) -> str:
    """Return why the rest of an order that ended so is canceled."""
    if placed.time_in_force is FOK:
        return "fok_unfilled"
    if ending is OWN_ORDER:
        return "self_trade"
    if ending is TOO_MANY or ending is OUT_OF_BAND or placed.type is MARKET:
        return "insufficient_liquidity"
    assert placed.time_in_force is IOC
    return "ioc_remainder"
