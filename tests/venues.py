"""A market of its own with funded accounts, made and traded over HTTP as an operator and outside clients would."""

import itertools
from dataclasses import dataclass
from typing import Any

from tests.alb import Reply
from tests.edge import Edge

ACCOUNTS = ("alice", "bob", "maker")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Venue:
    """One market in which alice, bob and maker have 1,000 of the base and 100,000 of the quote, and no fee is due."""

    floor: Edge
    base: str
    quote: str

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return f"{self.base}-{self.quote}"

    def place(self, who: str, side: str, quantity: str | None = "1", price: str | None = None, **fields: Any) -> Reply:
        """Place an order: a limit order where it has a price and no other type is named, else a market order."""
        kind = "market" if price is None else "limit"
        body = {"symbol": self.symbol, "side": side, "type": kind, "quantity": quantity, "price": price, **fields}
        return self.floor.call(who, "POST", "/v1/orders", body)

    def placed(self, who: str, side: str, quantity: str | None = "1", price: str | None = None, **fields: Any) -> Any:
        """Place an order that is taken; return its document."""
        reply = self.place(who, side, quantity, price, **fields)
        assert reply.status == 201, reply.body
        return reply.body["order"]

    def traded(self, price: str, quantity: str = "0.001") -> None:
        """Let maker sell to bob at `price`, with nobody else between."""
        self.placed("bob", "buy", quantity, price)
        taken = self.placed("maker", "sell", quantity, price)
        assert (taken["status"], taken["average_price"]) == ("filled", f"{price}000000"), taken

    def order(self, who: str, order: Any) -> Any:
        """Return an order as it is now."""
        return self.floor.call(who, "GET", f"/v1/orders/{order['order_id']}").body["order"]

    def state(self, who: str, order: Any) -> tuple[str, str | None]:
        """Return the status and the reason of an order as it is now."""
        now = self.order(who, order)
        return now["status"], now["reason"]

    def fills(self, who: str, order: Any) -> list[tuple[str, str]]:
        """Return price and quantity of each fill of an order, oldest first."""
        found = self.floor.call(who, "GET", "/v1/fills", query={"order_id": order["order_id"]}).body["data"]
        return [(fill["price"], fill["quantity"]) for fill in reversed(found)]

    def balance(self, who: str, asset: str) -> tuple[str, str]:
        """Return available and held."""
        found = self.floor.call(who, "GET", "/v1/balances").body["data"]
        (one,) = (each for each in found if each["asset"] == asset)
        return one["available"], one["held"]

    def part(self, name: str = "", **query: str) -> Any:
        """Return what is public of the market: itself, its book, ticker or trades."""
        return self.floor.call(None, "GET", f"/v1/markets/{self.symbol}{name}", query=query).body

    def change(self, **settings: Any) -> Any:
        """Change settings of the market."""
        reply = self.floor.call("admin", "PATCH", f"/v1/admin/markets/{self.symbol}", settings)
        assert reply.status == 200, reply.body
        return reply.body


def venue(floor: Edge, **settings: Any) -> Venue:
    """Open a market with ticks of 0.01 and lots of 0.001."""
    number = next(_numbers)
    made = Venue(floor, f"B{number}", f"Q{number}")
    for asset in (made.base, made.quote):
        assert floor.call("admin", "POST", "/v1/admin/assets", {"asset": asset, "decimals": 8}).status == 201
    market = {
        "symbol": made.symbol, "base": made.base, "quote": made.quote, "tick_size": "0.01", "lot_size": "0.001",
        "min_notional": "0", "max_quantity": "1000", **settings,
    }  # fmt: skip
    opened = floor.call("admin", "POST", "/v1/admin/markets", market)
    assert opened.status == 201, opened.body
    for who in ACCOUNTS:
        for asset, amount in ((made.base, "1000"), (made.quote, "100000")):
            deposit = {"asset": asset, "amount": amount, "reference": f"first {asset}"}
            path = f"/v1/admin/accounts/acc_{who}/deposits"
            assert floor.call("admin", "POST", path, deposit).status == 201
    return made
