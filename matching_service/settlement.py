"""The trades of one order: lots, money and fees change hands, and both orders count it; it never asks whether."""

from exchange.events import Event, OrderReplenished, Trade
from exchange.orders import OrderStatus
from matching_service.accounts import Balance
from matching_service.book import BUY, Fill, Order, next_slice
from matching_service.endings import part
from matching_service.fees import RATE_ONE, charge
from matching_service.prevention import prevent
from matching_service.state import LiveMarket, State

FILLED = OrderStatus.FILLED


def settle(state: State, market: LiveMarket, taker: Order, fills: list[Fill]) -> list[Event]:
    """Exchange each of `fills` at its maker's price; return the events, each with the balances as they were then.

    One with an order of the same account is prevented as the taker's mode says.
    """
    trader, fees, settings, hold_per_lot = taker.trader, market.fees, market.settings, taker.hold_per_lot
    buys = taker.placed.side is BUY
    pays, gets = (trader.quote, trader.base) if buys else (trader.base, trader.quote)
    maker_fees, taker_fees = (fees.quote, fees.base) if buys else (fees.base, fees.quote)
    is_plain, rebate = not settings.fee_tiers and settings.maker_fee_rate >= 0, 0
    events: list[Event] = []
    for maker, lots in fills:
        other = maker.trader
        if other is trader:
            events += prevent(state, market, taker, maker, lots)
            continue
        base = lots * market.base_units_per_lot
        quote = lots * abs(maker.key) * market.quote_units_per_tick_lot
        if buys:
            paid, received, maker_pays, maker_gets = quote, base, other.base, other.quote
        else:
            paid, received, maker_pays, maker_gets = base, quote, other.quote, other.base
        if is_plain:
            # Rounded up as by `amounts.divide_up`, whose two calls would be 200 ns of a trade's 6,000.
            maker_fee = -(-paid * settings.maker_fee_rate // RATE_ONE)
            taker_fee = -(-received * settings.taker_fee_rate // RATE_ONE)
        else:
            maker_fee, taker_fee, rebate = charge(state, market, other, trader, quote, paid, received)
            maker_pays.available += rebate
        maker_pays.held -= received
        maker_gets.available += paid - maker_fee
        released = hold_per_lot * lots
        pays.held -= released
        pays.available += released - paid
        gets.available += received - taker_fee
        maker_fees.available += maker_fee
        taker_fees.available += taker_fee - rebate
        assert maker_pays.held >= 0 <= pays.held
        assert pays.available >= 0
        events.append(_counted(state, market, maker, taker, lots, quote, maker_fee - rebate, taker_fee))
        if maker.has_options:
            events += _follow(state, market, maker, lots)
    _note(state, gets, maker_fees, taker_fees)
    return events


def _follow(state: State, market: LiveMarket, maker: Order, lots: int) -> list[Event]:
    """Let happen what a trade of `lots` does beside: an iceberg shows more, the other leg of a pair is canceled."""
    events: list[Event] = []
    if maker.ended is not None:
        state.disarm(maker)
    if maker.displayed_lots is not None:
        maker.displayed_lots -= lots
        if not maker.displayed_lots and maker.remaining_lots:
            events.append(_replenish(state, market, maker))
    if maker.partner_id is not None:
        events += part(state, market, maker, maker.hold_per_lot * (maker.remaining_lots + lots))
    return events


def _replenish(state: State, market: LiveMarket, order: Order) -> OrderReplenished:
    """Let an iceberg, whose slice is used up, show its next one behind all others at its price."""
    placed = order.placed
    order.displayed_lots = shown = next_slice(order, order.remaining_lots)
    order.priority_sequence = state.next_priority()
    market.book.move_back(order)
    return OrderReplenished(placed.order_id, placed.account_id, placed.symbol, placed.side, abs(order.key), shown)


def _counted(
    state: State, market: LiveMarket, maker: Order, taker: Order, lots: int, quote: int, maker_fee: int, taker_fee: int
) -> Trade:
    """Count a trade in its maker, which leaves the book with its last lot; return the event."""
    maker_placed, taker_placed = maker.placed, taker.placed
    maker_trader, taker_trader, fees = maker.trader, taker.trader, market.fees
    maker_base, maker_quote = maker_trader.base, maker_trader.quote
    taker_base, taker_quote = taker_trader.base, taker_trader.quote
    if maker.sequence < state.batch_start:
        state.changed_orders.append(maker)
    if maker_base.noted < state.batch_start:
        state.note(maker_base)
    if maker_quote.noted < state.batch_start:
        state.note(maker_quote)
    taker.filled_quote += quote
    taker.fee += taker_fee
    taker.remaining_lots -= lots
    maker.sequence = state.sequence
    maker.updated_time = state.time
    maker.filled_quote += quote
    if maker_fee >= 0:
        maker.fee += maker_fee
    else:
        maker.rebate -= maker_fee
    maker.remaining_lots = left = maker.remaining_lots - lots
    if not left:
        maker.ended = FILLED
        market.book.remove(maker)
        maker_trader.order_ids.remove(maker_placed.order_id)
        del state.orders[maker_placed.order_id]
    return Trade(
        taker_placed.symbol,
        maker_placed.order_id, maker_placed.account_id, taker_placed.order_id, taker_placed.account_id,
        taker_placed.side, abs(maker.key), lots, quote, maker_fee, taker_fee,
        left, None if taker_placed.quantity_lots is None else taker.remaining_lots,
        maker_base.available, maker_base.held, maker_quote.available, maker_quote.held,
        taker_base.available, taker_base.held, taker_quote.available, taker_quote.held,
        fees.base.available, fees.quote.available,
    )  # fmt: skip


def _note(state: State, *balances: Balance) -> None:
    """Note the balances that this batch has not changed before."""
    for balance in balances:
        if balance.noted < state.batch_start:
            state.note(balance)
