"""The orders that load is made of; they are written and signed here, and sent elsewhere.

Each client sells and buys in turn, at one price: every order is limit gtc, every second one trades, and no more
rest than there are clients.
"""

import uuid
from collections.abc import Sequence
from itertools import count

from bench.accounts import Pair
from client.connection import RequestWriter

SIZES = (("BTC-USD", "60000.00", "0.00100"), ("ETH-USD", "3000.00", "0.0200"), ("SOL-USD", "150.000", "0.40"))
"""Market, price and quantity; each order is worth 60 USD."""


class CrossingOrders:
    """A script of signed orders: client n trades as pair n in market n, each counted round."""

    def __init__(self, base_url: str, pairs: Sequence[Pair]) -> None:
        self._writers = [
            (RequestWriter(base_url, pair.seller.key), RequestWriter(base_url, pair.buyer.key)) for pair in pairs
        ]
        self._run = uuid.uuid4().hex[:12]
        self._numbers = count()
        self._turns: dict[int, int] = {}

    def __call__(self, client: int, now_ms: int) -> bytes:
        """Return the next order of `client`, signed as of now."""
        turn = self._turns[client] = 1 - self._turns.get(client, 1)
        symbol, price, quantity = SIZES[client % len(SIZES)]
        body = (
            f'{{"symbol":"{symbol}","side":"{("sell", "buy")[turn]}","type":"limit","quantity":"{quantity}",'
            f'"price":"{price}","client_order_id":"{self._run}-{next(self._numbers)}"}}'
        )
        writer = self._writers[client % len(self._writers)][turn]
        return writer.written(now_ms, "POST", "/v1/orders", body=body.encode())


class Reads:
    """A script of public reads: books and tickers of the three markets in turn."""

    def __init__(self, base_url: str) -> None:
        writer = RequestWriter(base_url)
        symbols = [symbol for symbol, _, _ in SIZES]
        self._requests = [writer.written(0, "GET", f"/v1/markets/{symbol}/book") for symbol in symbols]
        self._requests += [writer.written(0, "GET", f"/v1/markets/{symbol}/ticker") for symbol in symbols]
        self._numbers = count()

    def __call__(self, client: int, now_ms: int) -> bytes:  # noqa: ARG002
        """Return the next read."""
        return self._requests[next(self._numbers) % len(self._requests)]
