"""Invariant I5: no book is crossed, and an open order is one that still wants something."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from tests.checkers.money import OpenOrder

RESTING = ("new", "partially_filled")


def book_problems(orders: Iterable[OpenOrder], in_auction: frozenset[str] = frozenset()) -> Iterator[str]:
    """Tell which books are crossed, but for markets in auction, where orders rest without matching."""
    bids: dict[str, list[tuple[Decimal, str]]] = defaultdict(list)
    asks: dict[str, list[tuple[Decimal, str]]] = defaultdict(list)
    for order in orders:
        if order.remaining <= 0:
            yield f"I5: order {order.order_id} is {order.status} with {order.remaining} remaining"
        if order.status in RESTING:
            if order.price is None:
                yield f"I5: order {order.order_id} rests without a price"
            else:
                (bids if order.side == "buy" else asks)[order.symbol].append((order.price, order.order_id))
    for symbol in sorted((bids.keys() & asks.keys()) - in_auction):
        bid, ask = max(bids[symbol]), min(asks[symbol])
        if bid[0] >= ask[0]:
            yield f"I5: the book of {symbol} is crossed: {bid[1]} bids {bid[0]}, {ask[1]} asks {ask[0]}"
