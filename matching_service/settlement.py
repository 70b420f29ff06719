"""The trades of one order: lots, money and fees change hands, and both orders count it; it never asks whether."""

from exchange.events import Trade
from exchange.markets import RATE_DECIMALS
from exchange.orders import OrderStatus
from matching_service.accounts import Balance
from matching_service.book import BUY, Fill, Order
from matching_service.state import LiveMarket, State

RATE_ONE = 10**RATE_DECIMALS
FILLED = OrderStatus.FILLED


def settle(state: State, market: LiveMarket, taker: Order, fills: list[Fill]) -> list[Trade]:
    """Exchange each of `fills` at its maker's price; return the events, each with the balances as they were then.

    One loop, since a call for each trade with all that it needs cost a fifth more.
    """
    placed, settings, hold_per_lot = taker.placed, market.settings, taker.hold_per_lot
    buys, trader, fees = placed.side is BUY, taker.trader, market.fees
    pays, gets = (trader.quote, trader.base) if buys else (trader.base, trader.quote)
    maker_fees, taker_fees = (fees.quote, fees.base) if buys else (fees.base, fees.quote)
    trades: list[Trade] = []
    for maker, lots in fills:
        base, price_ticks = lots * market.base_units_per_lot, abs(maker.key)
        quote = lots * price_ticks * market.quote_units_per_tick_lot
        other = maker.trader
        paid, received = (quote, base) if buys else (base, quote)
        maker_pays, maker_gets = (other.base, other.quote) if buys else (other.quote, other.base)
        # Rounded up as by `amounts.divide_up`, whose calls would cost a tenth of a trade.
        maker_fee = -(-paid * settings.maker_fee_rate // RATE_ONE)
        taker_fee = -(-received * settings.taker_fee_rate // RATE_ONE)
        maker_pays.held -= received
        maker_gets.available += paid - maker_fee
        pays.held -= hold_per_lot * lots
        pays.available += hold_per_lot * lots - paid
        gets.available += received - taker_fee
        maker_fees.available += maker_fee
        taker_fees.available += taker_fee
        assert maker_pays.held >= 0 <= pays.held
        assert pays.available >= 0
        _count(state, market, maker, lots, quote, maker_fee)
        taker.filled_quote += quote
        taker.fee += taker_fee
        taker.remaining_lots -= lots
        trades.append(_event(market, maker, taker, lots, quote, maker_fee, taker_fee))
    _note(state, pays, gets, maker_fees, taker_fees)
    return trades


def _count(state: State, market: LiveMarket, maker: Order, lots: int, quote: int, fee: int) -> None:
    """Count a trade in its maker, which leaves the book with its last lot."""
    if maker.sequence < state.batch_start:
        state.changed_orders.append(maker)
    maker.sequence = state.sequence
    maker.updated_time = state.time
    maker.filled_quote += quote
    maker.fee += fee
    maker.remaining_lots = left = maker.remaining_lots - lots
    trader = maker.trader
    if not left:
        maker.ended = FILLED
        market.book.remove(maker)
        trader.order_ids.remove(maker.placed.order_id)
        del state.orders[maker.placed.order_id]
    _note(state, trader.base, trader.quote)


def _event(
    market: LiveMarket, maker: Order, taker: Order, lots: int, quote: int, maker_fee: int, taker_fee: int
) -> Trade:
    """Return the event of a trade that has just been settled."""
    maker_placed, taker_placed = maker.placed, taker.placed
    maker_base, maker_quote = maker.trader.base, maker.trader.quote
    taker_base, taker_quote = taker.trader.base, taker.trader.quote
    return Trade(
        taker_placed.symbol,
        maker_placed.order_id, maker_placed.account_id, taker_placed.order_id, taker_placed.account_id,
        taker_placed.side, abs(maker.key), lots, quote, maker_fee, taker_fee,
        maker.remaining_lots, None if taker_placed.quantity_lots is None else taker.remaining_lots,
        maker_base.available, maker_base.held, maker_quote.available, maker_quote.held,
        taker_base.available, taker_base.held, taker_quote.available, taker_quote.held,
        market.fees.base.available, market.fees.quote.available,
    )  # fmt: skip


def _note(state: State, *balances: Balance) -> None:
    """Note the balances that this batch has not changed before."""
    for balance in balances:
        if balance.noted < state.batch_start:
            state.note(balance)
