"""What an order must fulfil before it is taken, in the order in which it is looked at; it changes nothing."""

from exchange.amounts import UNITS_BOUND
from exchange.markets import MarketStatus
from exchange.orders import PlaceOrder
from matching_service.book import BUY, NO_MATCH, Ending, Fill, Order
from matching_service.state import FOK, GTC, IOC, NOT_FOUND, Copy, LiveMarket, Refusal, State

MAX_OPEN_ORDERS = 1000
"""The open orders that an account may have in a market."""
UNKNOWN_MARKET = Refusal("request.invalid", "There is no such market.", "symbol")
# A name of this module costs 14 ns, an attribute of an enum class 40.
OPEN = MarketStatus.OPEN
FUNDS = "order.insufficient_funds"
AT_ONCE = (IOC, FOK)


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


def refusal(
    market: LiveMarket, order: Order, needed: int, available: int, fills: list[Fill], ending: Ending, others: int
) -> str | None:
    """Return the first rule that `order` breaks, given what it needs, what there is, and whom it would trade with.

    `others` are the open orders of its account beside it.
    """
    placed, settings = order.placed, market.settings
    if market.is_restricted or not order.trader.may_trade:
        code = _closed(market, order) or _out_of_band(market, order)
        if code is not None:
            return code
    lots, price_ticks = placed.quantity_lots, placed.price_ticks
    if lots is None:
        if needed < settings.min_notional:
            return "order.min_notional"
    else:
        if price_ticks is not None and lots * price_ticks * market.quote_units_per_tick_lot < settings.min_notional:
            return "order.min_notional"
        if lots > settings.max_quantity:
            return "order.max_quantity"
    tif = placed.time_in_force
    if (tif is GTC or tif not in AT_ONCE or order.is_waiting) and others >= MAX_OPEN_ORDERS:
        return "order.too_many_open"
    if placed.post_only and (fills or ending is not NO_MATCH):
        return "order.would_cross"
    if needed > available:
        return FUNDS
    return None


def reduction_refusal(market: LiveMarket, order: Order) -> str | None:
    """Return the first rule that an order breaks which has been given less quantity, and stays where it is."""
    code = _closed(market, order)
    if code is not None:
        return code
    price_ticks, lots = order.placed.price_ticks, order.placed.quantity_lots
    assert lots is not None
    if price_ticks is not None and lots * price_ticks * market.quote_units_per_tick_lot < market.settings.min_notional:
        return "order.min_notional"
    return None


def waiting_refusal(market: LiveMarket, order: Order, needed: int, available: int, others: int) -> str | None:
    """Return the first rule that an order which is to wait for a trigger breaks."""
    code = refusal(market, order, needed, available, [], NO_MATCH, others)
    if code in (None, FUNDS) and market.triggers.would_trigger(order, market.figures.last_price_ticks):
        return "order.would_trigger"
    return code


def _closed(market: LiveMarket, order: Order) -> str | None:
    """Return why an order may not enter a market that is not open, or one of an account that is not active."""
    placed, is_collecting = order.placed, market.book.is_collecting and market.figures.uncrossing_ticks is None
    if not order.trader.may_trade:
        return "account.suspended"
    rests = placed.price_ticks is not None and placed.time_in_force not in AT_ONCE and not placed.post_only
    is_taken = market.settings.status is OPEN or (is_collecting and (rests or order.is_waiting))
    return None if is_taken else "order.market_closed"


def _out_of_band(market: LiveMarket, order: Order) -> str | None:
    """Return why an order may not have its price: its market must not go there in one step."""
    band, price_ticks = market.book.band, order.placed.price_ticks
    if band is None or price_ticks is None:
        return None
    lowest, highest = band
    is_beyond = price_ticks > highest if order.placed.side is BUY else price_ticks < lowest
    return "order.price_band" if is_beyond else None


def spending(market: LiveMarket, order: Order, fills: list[Fill]) -> int:
    """Return what an order that holds nothing is going to spend at most: its quote quantity, or what its walk costs."""
    if order.placed.quote_quantity is not None:
        return order.placed.quote_quantity
    met = sum(abs(maker.key) * lots for maker, lots in fills if maker.trader is not order.trader)
    return met * market.quote_units_per_tick_lot
