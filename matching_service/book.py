"""One market's book: who rests at which price, and whom an order would meet in which order; it knows no money.

Prices are kept as keys: `price_ticks` for a bid, `-price_ticks` for an ask. Of two orders of one side the one with the
greater key is the more eager, so both sides, and both sides' takers, share every line.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from msgspec import Struct

from exchange.orders import OrderRecord, OrderStatus, PlaceOrder, Side
from matching_service.accounts import Balance, Trader

BUY = Side.BUY
EAGEREST = 10**30
"""The key of an order without a price: beyond every price."""
MAX_FILLS = 1000
"""How often one command trades at most."""


class Ending(Enum):
    """Why an order meets no further maker."""

    DONE = "done"
    """It has all it wanted; of a quote quantity, less is left than one lot costs at the best price."""
    NO_MATCH = "no_match"
    """Nobody is left at its price or a better one."""
    OWN_ORDER = "own_order"
    """The next in line belongs to its own account."""
    TOO_MANY = "too_many"
    """It has met as many as one command may."""


class Order(Struct, gc=False, eq=False):
    """One order as the engine holds it: what was asked (`placed`), and what became of it.

    `hold_per_lot` units of what it spends stay held for every lot that remains. An order is not tracked by the
    collector of cycles, so it must not refer to what refers to it.
    """

    placed: PlaceOrder
    key: int
    trader: Trader
    spends: Balance
    receives: Balance
    hold_per_lot: int
    remaining_lots: int
    first_sequence: int
    priority_sequence: int
    sequence: int
    created_time: int
    updated_time: int
    status: OrderStatus = OrderStatus.NEW
    filled_lots: int = 0
    filled_quote: int = 0
    fee: int = 0
    reason: str | None = None
    resting: bool = False

    def record(self) -> OrderRecord:
        """Return the order as it stands; its fees were charged in the asset that it receives."""
        placed = self.placed
        fee_base, fee_quote = (self.fee, 0) if placed.side is BUY else (0, self.fee)
        return OrderRecord(
            placed=placed,
            status=self.status,
            filled_lots=self.filled_lots,
            remaining_lots=None if placed.quantity_lots is None else self.remaining_lots,
            filled_quote=self.filled_quote,
            fee_base=fee_base,
            fee_quote=fee_quote,
            reason=self.reason,
            first_sequence=self.first_sequence,
            sequence=self.sequence,
            created_time=self.created_time,
            updated_time=self.updated_time,
        )


Fill = tuple[Order, int]
"""A maker, and the lots it gives."""
NOBODY: list[Fill] = []


@dataclass(slots=True, eq=False)
class Level:
    """The orders at one price, oldest first.

    One that has left stays behind in the list as a husk, not `resting`: leaving costs the same wherever an order
    stands, and needs no links (a list 100 ns, a chain 150 ns). `first` is the place of the oldest one that rests,
    `resting` how many do.
    """

    orders: list[Order]
    first: int = 0
    resting: int = 1

    def leave(self) -> None:
        """Count off an order that has just stopped resting; others must rest still."""
        self.resting -= 1
        orders = self.orders
        first = self.first
        while not orders[first].resting:
            first += 1
        self.first = first
        if len(orders) > 2 * self.resting + 8:
            self.orders = [order for order in orders if order.resting]
            self.first = 0


class BookSide:
    """All bids or all asks: the keys in rising order, so that the best is the last, and the level of each."""

    __slots__ = ("keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def from_best(self, worst_key: int) -> Iterator[Order]:
        """Return the resting orders, best price first, then oldest, down to `worst_key`."""
        for key in reversed(self.keys):
            if key < worst_key:
                return
            level = self.levels[key]
            for index in range(level.first, len(level.orders)):
                order = level.orders[index]
                if order.resting:
                    yield order


class Book:
    """The bids and the asks of one market; one lot at one tick costs `quote_units_per_tick_lot`."""

    __slots__ = ("asks", "bids", "quote_units_per_tick_lot")

    def __init__(self, quote_units_per_tick_lot: int) -> None:
        self.bids = BookSide()
        self.asks = BookSide()
        self.quote_units_per_tick_lot = quote_units_per_tick_lot

    def plan(self, taker: Order) -> tuple[list[Fill], Ending]:
        """Return whom `taker` would trade with, for how many lots each, and why it ends there; change nothing.

        What is left of its wish is counted in lots at a cost of one each or, by quote quantity, in quote units.
        """
        placed = taker.placed
        opposite = self.asks if placed.side is BUY else self.bids
        if not opposite.keys or opposite.keys[-1] < -taker.key:
            return NOBODY, Ending.NO_MATCH
        rest, unit = taker.remaining_lots, 0
        if placed.quote_quantity is not None:
            rest, unit = placed.quote_quantity, self.quote_units_per_tick_lot
        fills: list[Fill] = []
        for maker in opposite.from_best(-taker.key):
            cost = abs(maker.key) * unit or 1
            wanted = rest // cost
            if not wanted:
                return fills, Ending.DONE
            if maker.trader is taker.trader:
                return fills, Ending.OWN_ORDER
            if len(fills) == MAX_FILLS:
                return fills, Ending.TOO_MANY
            lots = min(wanted, maker.remaining_lots)
            fills.append((maker, lots))
            rest -= lots * cost
            if lots < maker.remaining_lots:
                return fills, Ending.DONE
        return fills, Ending.NO_MATCH if rest else Ending.DONE

    def fill(self, maker: Order, lots: int) -> None:
        """Take `lots` off a resting order; it leaves the book with the last of them."""
        assert 0 < lots <= maker.remaining_lots
        maker.remaining_lots -= lots
        if not maker.remaining_lots:
            self.remove(maker)

    def add(self, order: Order) -> None:
        """Rest `order` behind all others at its price."""
        assert order.remaining_lots > 0
        order.resting = True
        key = order.key
        side = self.bids if order.placed.side is BUY else self.asks
        level = side.levels.get(key)
        if level is not None:
            level.orders.append(order)
            level.resting += 1
            return
        side.levels[key] = Level([order])
        insort(side.keys, key)

    def remove(self, order: Order) -> None:
        """Take a resting order out of the book."""
        assert order.resting
        order.resting = False
        key = order.key
        side = self.bids if order.placed.side is BUY else self.asks
        level = side.levels[key]
        if level.resting > 1:
            level.leave()
            return
        del side.levels[key]
        keys = side.keys
        del keys[bisect_left(keys, key)]
