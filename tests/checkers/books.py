"""Invariant I5: no book is crossed, and an open order is one that still wants something.

Once out of the tables, and once command by command out of the events alone, as any reader of the journal would.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from msgspec.json import Decoder

from exchange.events import Event, MarketChanged, MarketCreated
from exchange.markets import MarketStatus
from exchange.orders import Side
from matching_service.levels import LevelBook
from tests.checkers.journal import Happened, Place
from tests.checkers.money import OpenOrder

Shown = tuple[str, Side, int, int, int]
"""A price level: symbol, side, price in ticks, lots shown, number of orders."""

_decoder: Decoder[Event] = Decoder(Event)

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


def followed_book_problems(history: Mapping[Place, Happened], shown: Iterable[Shown]) -> Iterator[str]:
    """Tell where the books that the events of one cell make are crossed, and how they differ from what is `shown`."""
    books: dict[str, LevelBook] = {}
    statuses: dict[str, MarketStatus] = {}
    places = sorted(place for place in history if place[2])
    for number, place in enumerate(places):
        event = _decoder.decode(history[place].content)
        if isinstance(event, MarketCreated | MarketChanged):
            statuses[event.market.symbol] = event.market.status
            books.setdefault(event.market.symbol, LevelBook(event.market))
        elif (book := books.get(getattr(event, "symbol", ""))) is not None:
            try:
                book.apply(event)
            except (AssertionError, KeyError) as error:
                yield f"I5: {place} moves no level that there is: {event}: {error!r}"
                return
        if number + 1 == len(places) or places[number + 1][:2] != place[:2]:
            yield from (f"I5: {place[:2]} leaves the book of {symbol} crossed" for symbol in _crossed(books, statuses))
    yield from _level_problems(books, shown)


def _crossed(books: Mapping[str, LevelBook], statuses: Mapping[str, MarketStatus]) -> Iterator[str]:
    for symbol, book in books.items():
        bids, asks = book.halves[Side.BUY].keys, book.halves[Side.SELL].keys
        if bids and asks and bids[-1] >= -asks[-1] and statuses[symbol] is MarketStatus.OPEN:
            yield symbol


def _level_problems(books: Mapping[str, LevelBook], shown: Iterable[Shown]) -> Iterator[str]:
    followed = {
        (symbol, side, abs(key)): (level.quantity_lots, level.orders)
        for symbol, book in books.items()
        for side, half in book.halves.items()
        for key, level in half.levels.items()
    }
    there = {(symbol, side, price): (lots, orders) for symbol, side, price, lots, orders in shown}
    for level in sorted(followed.keys() | there.keys()):
        if followed.get(level) != there.get(level):
            yield f"I5: the events leave {followed.get(level)} at {level}, the state has {there.get(level)}"
