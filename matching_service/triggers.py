"""The orders of one market that wait for a price, found by it; it knows no money and fires nothing.

An order that sells at or below its trigger and one that buys at or above it share every line, as bids and asks do:
prices are kept as keys, multiplied by the order's `sign`, so that the greatest key is always reached first.
"""

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush

from exchange.orders import OrderType, Side
from matching_service.book import Order

SELL = Side.SELL
TAKES_PROFIT = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)


def sign_of(order: Order) -> int:
    """Return 1 for an order that triggers at or below its price, -1 for one that does at or above it."""
    return 1 if (order.placed.side is SELL) is not (order.placed.type in TAKES_PROFIT) else -1


class PriceIndex:
    """Orders by key: the keys in rising order, so that the greatest is the last, and the orders of each."""

    __slots__ = ("_at", "_keys")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._at: dict[int, dict[str, Order]] = {}

    def add(self, key: int, order: Order) -> None:
        """Keep an order under a key."""
        at = self._at.get(key)
        if at is None:
            at = self._at[key] = {}
            insort(self._keys, key)
        at[order.placed.order_id] = order

    def remove(self, key: int, order: Order) -> None:
        """Take an order away from its key."""
        at = self._at[key]
        del at[order.placed.order_id]
        if not at:
            del self._at[key]
            del self._keys[bisect_left(self._keys, key)]

    def take(self, least: int) -> list[Order]:
        """Take away all orders with a key of at least `least`, and return them."""
        taken: list[Order] = []
        while self._keys and self._keys[-1] >= least:
            taken += self._at.pop(self._keys.pop()).values()
        return taken


class Triggers:
    """The waiting orders of one market: by trigger price, trailing ones also by the price that moves their trigger.

    `count` is how many there are. `_due` are those whose price was reached, by priority; a trailing one that has seen
    no price yet is `_unpriced`.
    """

    __slots__ = ("_by_reference", "_by_trigger", "_due", "_unpriced", "count")

    def __init__(self) -> None:
        self.count = 0
        self._by_trigger = {1: PriceIndex(), -1: PriceIndex()}
        self._by_reference = {1: PriceIndex(), -1: PriceIndex()}
        self._due: list[tuple[int, Order]] = []
        self._unpriced: dict[str, Order] = {}

    def would_trigger(self, order: Order, last_price_ticks: int | None) -> bool:
        """Say whether a new order would trigger at once: its stop price is on the wrong side."""
        stop = order.placed.stop_price_ticks
        if stop is None or last_price_ticks is None:
            return False
        sign = sign_of(order)
        return sign * stop >= sign * last_price_ticks

    def add(self, order: Order, last_price_ticks: int | None) -> None:
        """Let a new order wait for its stop price or, trailing, for a price that goes back from the last."""
        self.count += 1
        delta = order.placed.trailing_delta_ticks
        if delta is None:
            order.trigger_ticks = order.placed.stop_price_ticks
        elif last_price_ticks is None:
            self._unpriced[order.placed.order_id] = order
            return
        else:
            order.trigger_ticks = last_price_ticks - sign_of(order) * delta
        self._keep(order)

    def restore(self, order: Order, last_price_ticks: int | None) -> None:
        """Let an order wait that waited before: without a trigger price it is due, or has seen none yet."""
        self.count += 1
        if order.trigger_ticks is not None:
            self._keep(order)
        elif last_price_ticks is None:
            self._unpriced[order.placed.order_id] = order
        else:
            self._owe(order)

    def remove(self, order: Order) -> None:
        """Let an order wait no longer."""
        self.count -= 1
        if order.trigger_ticks is not None:
            sign = sign_of(order)
            self._by_trigger[sign].remove(sign * order.trigger_ticks, order)
            self._forget_reference(order, sign)
        elif self._unpriced.pop(order.placed.order_id, None) is None:
            self._due = [entry for entry in self._due if entry[1] is not order]
            heapify(self._due)

    def see(self, last_price_ticks: int) -> list[Order]:
        """Follow the last price; return the orders whose trigger moved or was reached, whichever price it was before.

        A price that moves nothing costs a look at the ends of four lists.
        """
        changed = list(self._unpriced.values())
        self._unpriced.clear()
        for sign, index in self._by_reference.items():
            # A trigger moves with a price beyond the one it was laid by: above it where the order sells.
            for order in index.take(1 - sign * last_price_ticks):
                assert order.trigger_ticks is not None
                self._by_trigger[sign].remove(sign * order.trigger_ticks, order)
                changed.append(order)
        for order in changed:
            delta = order.placed.trailing_delta_ticks
            assert delta is not None
            order.trigger_ticks = last_price_ticks - sign_of(order) * delta
            self._keep(order)
        for sign, index in self._by_trigger.items():
            for order in index.take(sign * last_price_ticks):
                self._forget_reference(order, sign)
                order.trigger_ticks = None
                self._owe(order)
                changed.append(order)
        return changed

    def has_due(self) -> bool:
        """Say whether there is an order whose price was reached."""
        return bool(self._due)

    def take_due(self) -> Order:
        """Take the oldest order away whose price was reached, and return it."""
        self.count -= 1
        return heappop(self._due)[1]

    def put_back(self, order: Order) -> None:
        """Let an order that was due be so again."""
        self.count += 1
        self._owe(order)

    def _owe(self, order: Order) -> None:
        heappush(self._due, (order.priority_sequence, order))

    def _keep(self, order: Order) -> None:
        sign, trigger = sign_of(order), order.trigger_ticks
        assert trigger is not None
        self._by_trigger[sign].add(sign * trigger, order)
        if order.placed.trailing_delta_ticks is not None:
            self._by_reference[sign].add(_reference_key(order, sign), order)

    def _forget_reference(self, order: Order, sign: int) -> None:
        if order.placed.trailing_delta_ticks is not None:
            self._by_reference[sign].remove(_reference_key(order, sign), order)


def _reference_key(order: Order, sign: int) -> int:
    """Return the key of the price by which a trailing trigger was laid: the one passed first is the greatest."""
    assert order.trigger_ticks is not None
    assert order.placed.trailing_delta_ticks is not None
    return -sign * (order.trigger_ticks + sign * order.placed.trailing_delta_ticks)
