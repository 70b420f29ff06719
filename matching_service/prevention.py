"""What happens where an order meets one of its own account: nothing trades, and the taker's mode says who gives way."""

from exchange.events import Event, SelfTradePrevented
from exchange.orders import SelfTradePrevention
from matching_service.book import DECREMENT, Order
from matching_service.endings import cancel, part
from matching_service.state import LiveMarket, State

CANCEL_NEWEST = SelfTradePrevention.CANCEL_NEWEST


def prevent(state: State, market: LiveMarket, taker: Order, maker: Order, lots: int) -> list[Event]:
    """Keep `taker` from trading `lots` with `maker`; the end of the taker itself, where it gives way, comes later."""
    mode = taker.placed.self_trade_prevention
    removed = 0
    held = maker.hold_per_lot * maker.remaining_lots
    if mode is DECREMENT:
        shown = maker.shown_lots
        for order in (taker, maker):
            _give_up(state, order, lots)
        if maker.displayed_lots is not None:
            maker.displayed_lots = min(maker.displayed_lots, maker.remaining_lots)
        removed = shown - maker.shown_lots
        state.touch(maker)
    events: list[Event] = [_prevented(taker, maker, lots, removed)]
    if mode is DECREMENT and maker.partner_id is not None:
        events += part(state, market, maker, held)
    if mode is not CANCEL_NEWEST and (mode is not DECREMENT or not maker.remaining_lots):
        events += cancel(state, market, maker, "self_trade")
    return events


def _give_up(state: State, order: Order, lots: int) -> None:
    """Take lots from an order without trading them, and give back what it held for them."""
    spends = order.spends
    order.remaining_lots -= lots
    order.prevented_lots += lots
    spends.held -= order.hold_per_lot * lots
    spends.available += order.hold_per_lot * lots
    assert spends.held >= 0
    if spends.noted < state.batch_start:
        state.note(spends)


def _prevented(taker: Order, maker: Order, lots: int, removed: int) -> SelfTradePrevented:
    asked, maker_spends, taker_spends = taker.placed, maker.spends, taker.spends
    return SelfTradePrevented(
        asked.symbol, asked.account_id, maker.placed.order_id, asked.order_id, asked.side, asked.self_trade_prevention,
        abs(maker.key), lots, maker.remaining_lots, None if asked.quantity_lots is None else taker.remaining_lots,
        removed, maker_spends.available, maker_spends.held, taker_spends.available, taker_spends.held,
    )  # fmt: skip
