"""The trades of an auction: all at its one price, both sides paying as takers; it asks neither whether nor why."""

from collections.abc import Iterator

from exchange.events import BookUncrossed, Event, Trade
from exchange.orders import OrderStatus
from matching_service import fees
from matching_service.book import MAX_FILLS, Book, BookSide, Order
from matching_service.endings import part
from matching_service.state import LiveMarket, State

FILLED = OrderStatus.FILLED
Pair = tuple[Order, Order, int]
"""A bid, an ask, and the lots that they trade."""


def depth(side: BookSide, known: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Return price and lots of each level, best first, hidden lots included; what is not `known` by key becomes so."""
    for key in reversed(side.keys):
        lots = known.get(key)
        if lots is None:
            lots = known[key] = sum(order.remaining_lots for order in side.levels[key].orders if order.ended is None)
        yield abs(key), lots


def crosses(book: Book, price_ticks: int | None = None) -> bool:
    """Say whether a bid and an ask could trade: at this price, or at any where none is given."""
    if not book.bids.keys or not book.asks.keys:
        return False
    bid, ask = book.bids.keys[-1], -book.asks.keys[-1]
    return bid >= ask if price_ticks is None else bid >= price_ticks >= ask


def uncross(state: State, market: LiveMarket, price_ticks: int) -> tuple[list[Event], int]:
    """Let bids and asks that accept the price trade at it, best price first, then oldest, as many as a command may.

    Return what happened, and how many lots traded.
    """
    pairs = _pairs(market, price_ticks)
    if not pairs:
        return [], 0
    shown = {order: order.shown_lots for bid, ask, _ in pairs for order in (bid, ask)}
    trades: list[Event] = []
    for bid, ask, lots in pairs:
        trades.append(_trade(state, market, (bid, ask, lots), price_ticks))
        for order in (bid, ask):
            if order.partner_id is not None:
                trades += part(state, market, order, order.hold_per_lot * (order.remaining_lots + lots))
    levels: dict[int, list[int]] = {}
    for order, lots in shown.items():
        level = levels.setdefault(order.key, [0, 0])
        level[0] += lots - order.shown_lots
        level[1] += order.ended is not None
    bids = tuple((key, lots, orders) for key, (lots, orders) in levels.items() if key > 0)
    asks = tuple((-key, lots, orders) for key, (lots, orders) in levels.items() if key < 0)
    left = BookUncrossed(market.settings.symbol, bids, asks)
    return [*trades, left], sum(lots for _, _, lots in pairs)


def _pairs(market: LiveMarket, price_ticks: int) -> list[Pair]:
    """Return who trades with whom."""
    bids, asks = market.book.bids.from_best(price_ticks), market.book.asks.from_best(-price_ticks)
    pairs: list[Pair] = []
    bid, ask = next(bids, None), next(asks, None)
    bid_lots = 0 if bid is None else bid.remaining_lots
    ask_lots = 0 if ask is None else ask.remaining_lots
    while bid is not None and ask is not None and len(pairs) < MAX_FILLS:
        lots = min(bid_lots, ask_lots)
        pairs.append((bid, ask, lots))
        bid_lots -= lots
        ask_lots -= lots
        if not bid_lots:
            bid = next(bids, None)
            bid_lots = 0 if bid is None else bid.remaining_lots
        if not ask_lots:
            ask = next(asks, None)
            ask_lots = 0 if ask is None else ask.remaining_lots
    return pairs


def _trade(state: State, market: LiveMarket, pair: Pair, price_ticks: int) -> Trade:
    """Exchange the lots of a bid and an ask; the younger of the two is called the taker."""
    bid, ask, lots = pair
    buyer, seller, income = bid.trader, ask.trader, market.fees
    base, quote = lots * market.base_units_per_lot, lots * price_ticks * market.quote_units_per_tick_lot
    bid_fee, ask_fee = fees.taken(market, buyer, base), fees.taken(market, seller, quote)
    buyer.quote.held -= bid.hold_per_lot * lots
    buyer.quote.available += bid.hold_per_lot * lots - quote
    buyer.base.available += base - bid_fee
    seller.base.held -= base
    seller.quote.available += quote - ask_fee
    income.base.available += bid_fee
    income.quote.available += ask_fee
    assert buyer.quote.held >= 0 <= seller.base.held
    for balance in (buyer.base, buyer.quote, seller.base, seller.quote, income.base, income.quote):
        if balance.noted < state.batch_start:
            state.note(balance)
    for order, fee in ((bid, bid_fee), (ask, ask_fee)):
        _count(state, market, order, lots, quote, fee)
    (maker, maker_fee), (taker, taker_fee) = sorted(
        ((bid, bid_fee), (ask, ask_fee)), key=lambda side: side[0].priority_sequence
    )
    of_maker, of_taker = maker.trader, taker.trader
    return Trade(
        market.settings.symbol,
        maker.placed.order_id, of_maker.account_id, taker.placed.order_id, of_taker.account_id,
        taker.placed.side, price_ticks, lots, quote, maker_fee, taker_fee,
        maker.remaining_lots, taker.remaining_lots,
        of_maker.base.available, of_maker.base.held, of_maker.quote.available, of_maker.quote.held,
        of_taker.base.available, of_taker.base.held, of_taker.quote.available, of_taker.quote.held,
        income.base.available, income.quote.available, True,
    )  # fmt: skip


def _count(state: State, market: LiveMarket, order: Order, lots: int, quote: int, fee: int) -> None:
    """Count a trade in one of its orders, which leaves the book with its last lot."""
    state.touch(order)
    order.filled_quote += quote
    order.fee += fee
    order.remaining_lots -= lots
    if order.displayed_lots is not None:
        order.displayed_lots = min(order.displayed_lots, order.remaining_lots)
    if market.settings.fee_tiers:
        fees.count(state, market, order.trader, quote)
    if not order.remaining_lots:
        order.ended = FILLED
        market.book.remove(order)
        state.close(order)
