"""What the naive model holds, and what a trade, a prevention and an end do to it; it decides none of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exchange.markets import Market
from exchange.orders import PlaceOrder

Row = tuple[Any, ...]
OPEN = ("new", "partially_filled", "pending_trigger")


@dataclass(eq=False)
class NaiveOrder:
    """One order; `shown` is what is left of an iceberg's slice, `is_due` says that its trigger was reached."""

    placed: PlaceOrder
    entered: int
    status: str = "new"
    filled: int = 0
    filled_quote: int = 0
    prevented: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
    shown: int | None = None
    trigger: int | None = None
    is_due: bool = False
    holds: bool = False
    need: int | None = None
    created: int = 0
    partner: "NaiveOrder | None" = None

    @property
    def left(self) -> int | None:
        if self.placed.quantity_lots is None:
            return None
        return self.placed.quantity_lots - self.filled - self.prevented

    @property
    def display(self) -> int:
        """What the book shows of it."""
        if self.status not in ("new", "partially_filled"):
            return 0
        return (self.left or 0) if self.shown is None else self.shown

    @property
    def price(self) -> int:
        assert self.placed.price_ticks is not None
        return self.placed.price_ticks


@dataclass
class NaiveLedger:
    """One market of an exchange; balances are `[available, held]` by account and asset.

    `waiting` are the open orders in order of their priority.
    """

    market: Market
    sequence: int
    max_fills: int = 1000
    max_open: int = 1000
    time: int = 0
    last_price: int | None = None
    balances: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    orders: dict[str, NaiveOrder] = field(default_factory=dict)
    waiting: list[NaiveOrder] = field(default_factory=list)

    def balance(self, account: str, asset: str) -> list[int]:
        return self.balances.setdefault((account, asset), [0, 0])

    def spends(self, order: NaiveOrder) -> list[int]:
        """The balance that pays for an order."""
        asset = self.market.quote if order.placed.side == "buy" else self.market.base
        return self.balance(order.placed.account_id, asset)

    def open_orders(self) -> list[NaiveOrder]:
        """All open orders, oldest first."""
        self.waiting = [order for order in self.waiting if order.status in OPEN]
        return list(self.waiting)

    def resting(self, side: str | None = None) -> list[NaiveOrder]:
        """All in the book, best price first, then oldest; of both sides when none is named: oldest first."""
        found = [order for order in self.open_orders() if order.status != "pending_trigger"]
        if side is not None:
            sign = -1 if side == "buy" else 1
            found = [order for order in found if order.placed.side == side]
            found.sort(key=lambda order: sign * order.price)
        return found

    def value(self, price_ticks: int, lots: int) -> int:
        """What so many lots cost, in quote units."""
        scaled = self.market.tick_size * price_ticks * self.market.lot_size * lots * int(10**self.market.quote_decimals)
        units, beyond = divmod(scaled, 10**36)
        assert not beyond
        return units

    def base(self, lots: int) -> int:
        units, beyond = divmod(self.market.lot_size * lots * int(10**self.market.base_decimals), 10**18)
        assert not beyond
        return units

    def accepted(self, order: NaiveOrder, name: str = "OrderAccepted") -> Row:
        placed = order.placed
        return (
            name, placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
            order.display, *self.spends(order),
        )  # fmt: skip

    def hold(self, order: NaiveOrder) -> None:
        """Keep aside what an order needs, and take it in hand."""
        self.move(order, self.hold_of(order))
        order.holds = True
        order.status = "in hand"

    def move(self, order: NaiveOrder, amount: int) -> None:
        """Hold so much more of what an order spends, or less."""
        pocket = self.spends(order)
        pocket[0] -= amount
        pocket[1] += amount
        assert min(pocket) >= 0

    def slice_of(self, order: NaiveOrder) -> int | None:
        if order.placed.display_lots is None:
            return None
        return min(order.placed.display_lots, order.left or 0)

    def are_one(self, one: NaiveOrder, other: NaiveOrder) -> bool:
        return one.placed.account_id == other.placed.account_id

    def hold_of(self, order: NaiveOrder) -> int:
        """What the unfilled part of an order keeps aside."""
        placed = order.placed
        if placed.side == "sell":
            return self.base(order.left or 0)
        if placed.price_ticks is None:
            return 0
        return self.value(placed.price_ticks, order.left or 0)

    def meet(self, maker: NaiveOrder, taker: NaiveOrder, lots: int) -> list[Row]:
        """Trade, and let happen what follows for the maker."""
        struck = self.strike(maker)
        rows = [self.trade(maker, taker, lots)]
        if maker.shown is not None:
            maker.shown -= lots
            if maker.left and not maker.shown:
                rows.append(self.replenish(maker))
        return rows + struck()

    def replenish(self, order: NaiveOrder) -> Row:
        placed = order.placed
        order.shown = self.slice_of(order)
        self.to_the_back(order)
        return (
            "OrderReplenished", placed.order_id, placed.account_id, placed.symbol, placed.side, order.price,
            order.shown,
        )  # fmt: skip

    def to_the_back(self, order: NaiveOrder) -> None:
        self.waiting = [other for other in self.waiting if other is not order] + [order]

    def trade(self, maker: NaiveOrder, taker: NaiveOrder, lots: int) -> Row:
        market = self.market
        price = maker.price
        quote, base = self.value(price, lots), self.base(lots)
        charges = self.charges(maker, taker, base, quote)
        for order, (fee_asset, fee) in zip((maker, taker), charges, strict=True):
            account, buys = order.placed.account_id, order.placed.side == "buy"
            hold_before = self.hold_of(order)
            order.filled += lots
            order.filled_quote += quote
            released = hold_before - self.hold_of(order)
            gets_asset, gets = (market.base, base) if buys else (market.quote, quote)
            pays_asset, pays = (market.quote, quote) if buys else (market.base, base)
            order.fees[fee_asset] = order.fees.get(fee_asset, 0) + fee
            pocket = self.balance(account, pays_asset)
            pocket[1] -= released
            pocket[0] += released - pays
            self.balance(account, gets_asset)[0] += gets
            self.balance(account, fee_asset)[0] -= fee
            self.balance("fees", fee_asset)[0] += fee
            assert min(pocket) >= 0
        self.last_price = price
        maker.status = "partially_filled" if maker.left else "filled"
        absolutes: list[int] = []
        for order in (maker, taker):
            for asset in (market.base, market.quote):
                absolutes += self.balance(order.placed.account_id, asset)
        return (
            "Trade", market.symbol, maker.placed.order_id, maker.placed.account_id, taker.placed.order_id,
            taker.placed.account_id, taker.placed.side, price, lots, quote, charges[0][1], charges[1][1],
            maker.left, taker.left, *absolutes,
            self.balance("fees", market.base)[0], self.balance("fees", market.quote)[0], False,
        )  # fmt: skip

    def charges(self, maker: NaiveOrder, taker: NaiveOrder, base: int, quote: int) -> list[tuple[str, int]]:
        """What maker and taker pay, and in which asset."""
        found = []
        for order, rate in ((maker, self.market.maker_fee_rate), (taker, self.market.taker_fee_rate)):
            buys = order.placed.side == "buy"
            whole, part = divmod((base if buys else quote) * rate, 10**9)
            found.append((self.market.base if buys else self.market.quote, whole + 1 if part else whole))
        return found

    def prevent(self, maker: NaiveOrder, taker: NaiveOrder, lots: int) -> list[Row]:
        """Let two orders of one account not trade; the taker's own end comes later."""
        mode, shown = taker.placed.self_trade_prevention, maker.display
        struck = None
        if mode == "decrement":
            struck = self.strike(maker)
            for order in (taker, maker):
                before = self.hold_of(order)
                order.prevented += lots
                self.move(order, self.hold_of(order) - before)
            if maker.shown is not None:
                maker.shown = min(maker.shown, maker.left or 0)
        removed = shown - maker.display
        row = (
            "SelfTradePrevented", self.market.symbol, taker.placed.account_id, maker.placed.order_id,
            taker.placed.order_id, taker.placed.side, mode, maker.price, lots, maker.left, taker.left, removed,
            *self.spends(maker), *self.spends(taker),
        )  # fmt: skip
        if mode == "cancel_newest":
            return [row]
        if struck is None:
            return [row, *self.take_away(maker, "self_trade")]
        return [row, *struck(), *([] if maker.left else [self.end(maker, "self_trade")])]

    # --- how orders end

    def end(self, order: NaiveOrder, reason: str, kept: int = 0) -> Row:
        """End an order; `kept` of what it held goes on being held."""
        placed, shown = order.placed, order.display
        if order.holds:
            self.move(order, -max(0, self.hold_of(order) - kept))
        order.status = "expired" if reason in ("expired", "queue_deadline") else "canceled"
        order.reason = reason
        return (
            "OrderCanceled", placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
            order.left, shown, reason, *self.spends(order),
        )  # fmt: skip

    def partner_of(self, order: NaiveOrder) -> NaiveOrder | None:
        """The other leg of a pair, where it is open."""
        return order.partner if order.partner in self.open_orders() else None

    def take_away(self, order: NaiveOrder, reason: str) -> list[Row]:
        """End an open order, and the other leg of its pair with it."""
        partner = self.partner_of(order)
        if partner is None:
            return [self.end(order, reason)]
        return [self.end(order, reason, self.hold_of(partner)), self.end(partner, "oco")]

    def strike(self, order: NaiveOrder) -> Callable[[], list[Row]]:
        """Let an order of a pair go its way; return how to end the other leg, which alone held what is beyond it."""
        partner, held = self.partner_of(order), self.hold_of(order)
        return lambda: [] if partner is None else [self.end(partner, "oco", held)]
