"""Orders entered and canceled: what is checked, who trades, what is paid and held; it knows no other command."""

from exchange.amounts import UNITS_BOUND
from exchange.commands import CancelOrder, CancelOrders
from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event, OrderAccepted, OrderCanceled, OrderRejected, Trade
from exchange.markets import RATE_DECIMALS, MarketStatus
from exchange.orders import OrderStatus, OrderType, PlaceOrder, SelfTradePrevention, TimeInForce
from matching_service.book import BUY, NOBODY, Ending, Fill, Order
from matching_service.state import NOT_FOUND, Copy, LiveMarket, Refusal, State

MAX_OPEN_ORDERS = 1000
"""The open orders that an account may have in a market."""
RATE_ONE = 10**RATE_DECIMALS
UNKNOWN_MARKET = Refusal("request.invalid", "There is no such market.", "symbol")
# An attribute of an enum class costs 20 ns more than a name of this module.
OPEN, HALTED = MarketStatus.OPEN, MarketStatus.HALTED
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
CANCEL_NEWEST = SelfTradePrevention.CANCEL_NEWEST
NEW, PARTIALLY_FILLED, FILLED = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
CANCELED, REJECTED = OrderStatus.CANCELED, OrderStatus.REJECTED
DONE, NO_MATCH, OWN_ORDER, TOO_MANY = Ending.DONE, Ending.NO_MATCH, Ending.OWN_ORDER, Ending.TOO_MANY


def examine_order(state: State, placed: PlaceOrder) -> Copy | Refusal | None:
    """Say whether the order was entered before, or must leave no trace."""
    sequence = state.recent_ids.sequences.get(placed.order_id)
    if sequence is not None:
        return Copy(sequence)
    if placed.account_id not in state.accounts.by_id:
        return NOT_FOUND
    market = state.markets.get(placed.symbol)
    if market is None:
        return UNKNOWN_MARKET
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
    _assert_built(placed)
    sequence = state.sequence
    market = state.markets[placed.symbol]
    state.recent_ids.add(placed.order_id, sequence)
    order = state.order(market, placed, sequence, state.time)
    state.changed_orders[order] = None
    state.subject = order
    fills, ending = market.book.plan(order)
    code = refusal(market, order, fills, ending)
    if code is not None:
        return [reject(order, code)]
    if ending is not DONE and placed.time_in_force is FOK:
        fills = NOBODY
    spends = order.spends
    if order.hold_per_lot:
        spends.hold(order.hold_per_lot * order.remaining_lots)
    state.changed_balances[spends] = None
    trades = [_trade(state, market, maker, order, lots) for maker, lots in fills]
    resting_lots, canceled = _settle_rest(state, market, order, ending)
    accepted = OrderAccepted(
        placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
        resting_lots, spends.available, spends.held,
    )  # fmt: skip
    return [accepted, *trades, *canceled]


def check(state: State, placed: PlaceOrder) -> str | None:
    """Return the code with which `place` would refuse the order now, None if it would take it."""
    _assert_built(placed)
    market = state.markets[placed.symbol]
    order = state.order(market, placed, state.sequence, state.time)
    return refusal(market, order, *market.book.plan(order))


def refusal(market: LiveMarket, order: Order, fills: list[Fill], ending: Ending) -> str | None:
    """Return the first rule that `order` breaks, given whom it would trade with."""
    placed, settings = order.placed, market.settings
    lots = placed.quantity_lots
    if settings.status is not OPEN:
        return "order.market_closed"
    if placed.price_ticks is not None:
        assert lots is not None
        if lots * placed.price_ticks * market.quote_units_per_tick_lot < settings.min_notional:
            return "order.min_notional"
    elif placed.quote_quantity is not None and placed.quote_quantity < settings.min_notional:
        return "order.min_notional"
    if lots is not None and lots > settings.max_quantity:
        return "order.max_quantity"
    if len(order.trader.order_ids) >= MAX_OPEN_ORDERS and placed.time_in_force is GTC:
        return "order.too_many_open"
    if placed.post_only and (fills or ending is not NO_MATCH):
        return "order.would_cross"
    if _needed(market, order, fills) > order.spends.available:
        return "order.insufficient_funds"
    return None


def reject(order: Order, code: str) -> OrderRejected:
    """End `order` before it began."""
    placed = order.placed
    order.status = REJECTED
    order.reason = code
    return OrderRejected(placed.order_id, placed.account_id, placed.symbol, code)


def place_poisoned(state: State, placed: PlaceOrder) -> list[Event]:
    """Refuse an order that could not be applied; its id is used up."""
    order = state.order(state.markets[placed.symbol], placed, state.sequence, state.time)
    state.recent_ids.add(placed.order_id, state.sequence)
    state.changed_orders[order] = None
    return [reject(order, "engine.refused")]


def examine_cancel(state: State, command: CancelOrders) -> Refusal | None:
    """Say whether there is no such market."""
    if command.symbol is None or command.symbol in state.markets:
        return None
    return UNKNOWN_MARKET


def cancel_order(state: State, command: CancelOrder) -> list[Event]:
    """Cancel one open order of the account, or refuse."""
    order = state.orders.get(command.order_id)
    if order is None or order.placed.account_id != command.account_id:
        return [refused("order.not_cancelable")]
    market = state.markets[order.placed.symbol]
    if market.settings.status is HALTED:
        return [refused("order.market_closed")]
    return [_cancel(state, market, order, "user")]


def cancel_orders(state: State, command: CancelOrders) -> list[Event]:
    """Cancel the account's open orders of one market and side, or of all; a halted market keeps its own."""
    markets = state.markets.values() if command.symbol is None else [state.markets[command.symbol]]
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


def _assert_built(placed: PlaceOrder) -> None:
    """Stop at what the edge never lets through in this version."""
    assert placed.self_trade_prevention is CANCEL_NEWEST
    assert placed.stop_price_ticks is placed.trailing_delta_ticks is placed.display_lots is placed.expire_time is None
    if placed.type is LIMIT:
        assert placed.quote_quantity is None
        assert placed.quantity_lots is not None
        assert placed.price_ticks is not None
        assert min(placed.quantity_lots, placed.price_ticks) > 0
        assert placed.time_in_force is GTC or (placed.time_in_force in (IOC, FOK) and not placed.post_only)
    else:
        assert placed.type is MARKET
        assert placed.price_ticks is None
        assert not placed.post_only
        assert placed.time_in_force in (IOC, FOK)
        assert (placed.quantity_lots is None) is not (placed.quote_quantity is None)
        assert placed.quote_quantity is None or placed.side is BUY
        assert (placed.quantity_lots or placed.quote_quantity or 0) > 0


def _needed(market: LiveMarket, order: Order, fills: list[Fill]) -> int:
    """Return what the order asks of its balance: its hold, its quote quantity, or what its walk would cost."""
    if order.hold_per_lot:
        return order.remaining_lots * order.hold_per_lot
    if order.placed.quote_quantity is not None:
        return order.placed.quote_quantity
    return sum(abs(maker.key) * lots for maker, lots in fills) * market.quote_units_per_tick_lot


def _trade(state: State, market: LiveMarket, maker: Order, taker: Order, lots: int) -> Trade:
    """Exchange `lots` at the maker's price: book, balances, fees, both orders; return the event."""
    settings = market.settings
    base = lots * market.base_units_per_lot
    price_ticks = abs(maker.key)
    quote = lots * price_ticks * market.quote_units_per_tick_lot
    taker_buys = taker.placed.side is BUY
    paid, received = (quote, base) if taker_buys else (base, quote)
    # divide_up of exchange.amounts, in place: the two calls would be 100 ns of a trade's 1,500.
    maker_fee = -(-paid * settings.maker_fee_rate // RATE_ONE)
    taker_fee = -(-received * settings.taker_fee_rate // RATE_ONE)

    market.book.fill(maker, lots)
    maker.spends.held -= received
    maker.receives.available += paid - maker_fee
    held = lots * taker.hold_per_lot
    taker.spends.held -= held
    taker.spends.available += held - paid
    taker.receives.available += received - taker_fee
    fees = market.fees
    if taker_buys:
        fees.base.available += taker_fee
        fees.quote.available += maker_fee
    else:
        fees.base.available += maker_fee
        fees.quote.available += taker_fee
    assert maker.spends.held >= 0 <= taker.spends.held
    assert taker.spends.available >= 0

    _count_fill(state, maker, lots, quote, maker_fee)
    _count_fill(state, taker, lots, quote, taker_fee)
    if taker.placed.quantity_lots is not None:
        taker.remaining_lots -= lots
    if not maker.remaining_lots:
        maker.status = FILLED
        state.close(maker)
    changed = state.changed_balances
    changed[fees.base] = changed[fees.quote] = None
    return _trade_event(market, maker, taker, lots, quote, maker_fee, taker_fee)


def _count_fill(state: State, order: Order, lots: int, quote: int, fee: int) -> None:
    """Note a fill in its order."""
    order.status = PARTIALLY_FILLED
    order.filled_lots += lots
    order.filled_quote += quote
    order.fee += fee
    order.sequence = state.sequence
    order.updated_time = state.time
    state.changed_orders[order] = None
    changed = state.changed_balances
    changed[order.spends] = changed[order.receives] = None


def _trade_event(
    market: LiveMarket, maker: Order, taker: Order, lots: int, quote: int, maker_fee: int, taker_fee: int
) -> Trade:
    """Return the event of a trade that has just been settled."""
    maker_base, maker_quote = maker.trader.base, maker.trader.quote
    taker_base, taker_quote = taker.trader.base, taker.trader.quote
    maker_placed, taker_placed = maker.placed, taker.placed
    return Trade(
        taker_placed.symbol,
        maker_placed.order_id,
        maker_placed.account_id,
        taker_placed.order_id,
        taker_placed.account_id,
        taker_placed.side,
        abs(maker.key),
        lots,
        quote,
        maker_fee,
        taker_fee,
        maker.remaining_lots,
        None if taker_placed.quantity_lots is None else taker.remaining_lots,
        maker_base.available,
        maker_base.held,
        maker_quote.available,
        maker_quote.held,
        taker_base.available,
        taker_base.held,
        taker_quote.available,
        taker_quote.held,
        market.fees.base.available,
        market.fees.quote.available,
    )


def _settle_rest(state: State, market: LiveMarket, order: Order, ending: Ending) -> tuple[int, list[Event]]:
    """Rest, cancel or finish what is left of an order that has traded; return the lots in the book and the events."""
    if ending is DONE:
        order.status = FILLED
        return 0, []
    reason = _reason(order.placed, ending)
    if reason is None:
        state.open(market, order)
        return order.remaining_lots, []
    return 0, [_end(order, reason, 0)]


def _reason(placed: PlaceOrder, ending: Ending) -> str | None:
    """Return why the rest of an order that ended so is canceled, None where it rests."""
    if placed.time_in_force is FOK:
        return "fok_unfilled"
    if ending is OWN_ORDER:
        return "self_trade"
    if ending is TOO_MANY or placed.type is MARKET:
        return "insufficient_liquidity"
    return "ioc_remainder" if placed.time_in_force is IOC else None


def _cancel(state: State, market: LiveMarket, order: Order, reason: str) -> OrderCanceled:
    """Take an open order out of the book and give back what it held."""
    market.book.remove(order)
    state.close(order)
    order.sequence = state.sequence
    order.updated_time = state.time
    state.subject = order
    state.changed_orders[order] = None
    state.changed_balances[order.spends] = None
    return _end(order, reason, order.remaining_lots)


def _end(order: Order, reason: str, resting_lots: int) -> OrderCanceled:
    """Cancel an order that is in no book any more, and release its hold."""
    placed, spends, lots = order.placed, order.spends, order.remaining_lots
    order.status = CANCELED
    order.reason = reason
    spends.release(order.hold_per_lot * lots)
    return OrderCanceled(
        placed.order_id,
        placed.account_id,
        placed.symbol,
        placed.side,
        placed.price_ticks,
        None if placed.quantity_lots is None else lots,
        resting_lots,
        reason,
        spends.available,
        spends.held,
    )


def refused(code: str) -> CommandRefused:
    """Return the event of a command that was refused with `code`."""
    return CommandRefused(code, DETAIL_OF_CODE[code])
