"""What no batch may bring about, asked of what each one changed before it is committed; it changes nothing."""

from collections.abc import Mapping

from exchange.markets import MarketStatus
from matching_service.accounts import EXTERNAL, FEES
from matching_service.book import Book
from matching_service.state import Changes, LiveMarket


class Violation(Exception):  # noqa: N818 - the invariant is violated, whoever did it
    """The engine has done what it must never do: nothing more may be committed."""


LOWEST_KEY = -(10**30)


def check(changes: Changes, markets: Mapping[str, LiveMarket]) -> None:
    """Raise `Violation` where a balance, an order or a book is what none can be."""
    for balance in changes.balances:
        if balance.held < 0 or (balance.available < 0 and balance.account_id not in (EXTERNAL, FEES)):
            told = f"{balance.available} {balance.asset} available and {balance.held} held"
            raise Violation(f"{balance.account_id} has {told}")
    symbols: dict[str, None] = {}
    for order in changes.orders:
        symbols[order.placed.symbol] = None
        # An order without a quantity counts down from 0: what it has filled is what must not be below that.
        is_overfilled = order.placed.quantity_lots is not None and order.remaining_lots < 0
        if is_overfilled or order.filled_lots < 0 or order.filled_quote < 0:
            raise Violation(f"{order.placed.order_id} has {order.remaining_lots} lots left")
    for symbol in symbols:
        if (market := markets.get(symbol)) and market.settings.status is MarketStatus.OPEN:
            _check_book(symbol, market.book)


def _check_book(symbol: str, book: Book) -> None:
    """Raise where the best bid and the best ask of an open book have met: they would have traded."""
    if book.is_collecting or book.band is not None:
        return
    bid, ask = next(book.bids.from_best(LOWEST_KEY), None), next(book.asks.from_best(LOWEST_KEY), None)
    if bid is not None and ask is not None and bid.key >= -ask.key:
        raise Violation(f"the book of {symbol} is crossed by {bid.placed.order_id} and {ask.placed.order_id}")
