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
    tif = placed.time_in_force
    events: list[Event] = []
    if fills and (ending is DONE or tif is not FOK or ending is DECREMENTED):
        events = settle(state, market, order, fills)
        maker = fills[-1][0]
        if maker.trader is not order.trader:
            _see_price(state, market, abs(maker.key))
        else:
            _see_last_trade(state, market, events)
    if ending is DONE:
        order.ended = FILLED
    elif (ending is NO_MATCH or ending is OUT_OF_BAND) and may_rest(placed):
        if placed.display_lots is not None:
            order.displayed_lots = next_slice(order, order.remaining_lots)
        market.book.add(order)
        state.open(order)
    else:
        events.append(end(order, spends, _reason(placed, ending), 0))
    if ending is OUT_OF_BAND and tif is not FOK:
        events += start_volatility(state, market)
    return events


def _see_last_trade(state: State, market: LiveMarket, events: list[Event]) -> None:
    """Let the price of the last trade among these events, where there is one, be the last price."""
    for event in reversed(events):
        if type(event) is Trade:
            _see_price(state, market, event.price_ticks)
            return


def _see_price(state: State, market: LiveMarket, price_ticks: int) -> None:
    """Let a price be the last price; whoever goes by it is looked at where the command ends."""
    figures = market.figures
    if price_ticks != figures.last_price_ticks:
        figures.last_price_ticks = price_ticks
        state.changed_markets[market] = None
        if market.triggers.count or market.settings.price_band is not None:
            state.unsettled[market] = None


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
