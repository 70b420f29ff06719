"""Bots that keep a market moving: one quotes, one takes; they decide what to ask and never send it.

Bounds hold by construction: a `Quoter` has at most `LEVELS` orders a side, a `Taker` none, and a taker's net position
pulls it back to where it began, so that what the bots hold stays near where it was, fees apart.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, Protocol

Document = dict[str, Any]

LEVELS = 20
"""Resting orders of a side of a market at most."""
ORDER_VALUE = Decimal(200)
"""What an order is worth in the quote asset, about."""
NEAREST_QUOTE = 0.0004
QUOTE_SPREAD = 0.001
TAKER_REACH = Decimal("0.005")
STEP = 0.00002
PULL = 0.0005
"""The reference price walks by `STEP` of itself and is drawn back by `PULL` of its distance from the opening price."""
SIDES = ("buy", "sell")


@dataclass(frozen=True, slots=True)
class Market:
    """What a bot must know of a market."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    order_quantity: Decimal
    opening_price: Decimal

    def price_text(self, price: Decimal) -> str:
        """Print the multiple of the tick that is nearest to `price`."""
        return str(round(price / self.tick_size) * self.tick_size)

    def quantity_text(self, factor: float) -> str:
        """Print `factor` of the usual quantity in whole lots, one at least."""
        lots = max(1, round(float(self.order_quantity / self.lot_size) * factor))
        return str(lots * self.lot_size)


def market_of(document: Document, opening_price: Decimal) -> Market:
    """Read a market of the contract; orders are worth twice its min_notional at least."""
    lot_size = Decimal(document["lot_size"])
    value = max(ORDER_VALUE, 2 * Decimal(document["min_notional"]))
    lots = (value / opening_price / lot_size).to_integral_value(ROUND_CEILING)
    return Market(
        symbol=document["symbol"],
        base=document["base"],
        quote=document["quote"],
        tick_size=Decimal(document["tick_size"]),
        lot_size=lot_size,
        order_quantity=max(lots, Decimal(1)) * lot_size,
        opening_price=opening_price,
    )


class Reference:
    """The price that the bots of one market believe in: a random walk that stays near the opening price."""

    def __init__(self, market: Market, chance: random.Random) -> None:
        self._opening = self._price = float(market.opening_price)
        self._chance = chance

    @property
    def price(self) -> Decimal:
        """The price now."""
        return Decimal(self._price)

    def step(self) -> None:
        """Walk one step."""
        self._price += self._price * self._chance.gauss(0, STEP) + (self._opening - self._price) * PULL


class Action(Protocol):
    """One request that a bot wants sent; `answered` tells it what came of it, status 0 where nothing came."""

    method: str
    path: str
    parameters: dict[str, str]
    document: Document | None

    def answered(self, status: int, document: Document) -> None:
        """Take the answer."""


@dataclass(slots=True)
class Quote:
    """Rest an order, and remember its id."""

    bot: "Quoter"
    side: str
    document: Document | None
    method: str = "POST"
    path: str = "/v1/orders"
    parameters: dict[str, str] = field(default_factory=dict)

    def answered(self, status: int, document: Document) -> None:
        """Remember what rests now; not knowing, have the market cleared."""
        self.bot.placing[self.side] -= 1
        if status == 201 and document["order"]["status"] in ("new", "partially_filled"):
            self.bot.resting[self.side].append(document["order"]["order_id"])
        elif status == 0 or status >= 500:
            self.bot.in_doubt = True


@dataclass(slots=True)
class Withdrawal:
    """Take an order, or all of the market, out of the book."""

    bot: "Quoter"
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    method: str = "DELETE"
    document: Document | None = None

    def answered(self, status: int, document: Document) -> None:  # noqa: ARG002
        """Have the market cleared where it is unknown whether the order still rests."""
        if status == 0 or status >= 500:
            self.bot.in_doubt = True


class Quoter:
    """Quotes both sides of one market around the reference price, withdrawing its oldest quotes."""

    def __init__(self, market: Market, reference: Reference, chance: random.Random) -> None:
        self._market = market
        self._reference = reference
        self._chance = chance
        self._turn = 0
        self.resting: dict[str, deque[str]] = {side: deque() for side in SIDES}
        self.placing = dict.fromkeys(SIDES, 0)
        self.in_doubt = True

    def next_action(self) -> Action:
        """Clear the market first and after an unknown outcome; else quote where there is room, else withdraw."""
        if self.in_doubt:
            self.in_doubt = False
            for ids in self.resting.values():
                ids.clear()
            return Withdrawal(self, "/v1/orders", {"symbol": self._market.symbol})
        self._reference.step()
        self._turn += 1
        side = SIDES[self._turn % 2]
        if self.resting[side] and len(self.resting[side]) + self.placing[side] >= LEVELS:
            return Withdrawal(self, f"/v1/orders/{self.resting[side].popleft()}")
        return self._quote(side)

    def _quote(self, side: str) -> Quote:
        distance = Decimal(NEAREST_QUOTE + self._chance.expovariate(1 / QUOTE_SPREAD))
        sign = -1 if side == "buy" else 1
        self.placing[side] += 1
        document = {
            "symbol": self._market.symbol,
            "side": side,
            "type": "limit",
            "quantity": self._market.quantity_text(self._chance.uniform(0.5, 1.5)),
            "price": self._market.price_text(self._reference.price * (1 + sign * distance)),
            "post_only": True,
            "client_order_id": f"quote-{self._chance.getrandbits(96):024x}",
        }
        return Quote(self, side, document)


@dataclass(slots=True)
class Take:
    """Trade at once with what rests."""

    bot: "Taker"
    sign: int
    document: Document | None
    method: str = "POST"
    path: str = "/v1/orders"
    parameters: dict[str, str] = field(default_factory=dict)

    def answered(self, status: int, document: Document) -> None:
        """Count what was filled to the position."""
        if status == 201:
            self.bot.position += self.sign * Decimal(document["order"]["filled_quantity"])
            self.bot.trades += len(document["fills"])


class Taker:
    """Takes from one market with immediate-or-cancel orders, the more against its position the larger that is."""

    def __init__(self, market: Market, reference: Reference, chance: random.Random) -> None:
        self._market = market
        self._reference = reference
        self._chance = chance
        self.position = Decimal(0)
        self.trades = 0

    def next_action(self) -> Action:
        """Buy or sell about one usual quantity."""
        lean = float(self.position / self._market.order_quantity) / 20
        sign = 1 if self._chance.random() > min(0.95, max(0.05, 0.5 + lean)) else -1
        document = {
            "symbol": self._market.symbol,
            "side": "buy" if sign > 0 else "sell",
            "type": "limit",
            "quantity": self._market.quantity_text(self._chance.uniform(0.5, 2)),
            "price": self._market.price_text(self._reference.price * (1 + sign * TAKER_REACH)),
            "time_in_force": "ioc",
            "client_order_id": f"take-{self._chance.getrandbits(96):024x}",
        }
        return Take(self, sign, document)
