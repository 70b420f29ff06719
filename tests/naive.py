"""The rules of trading written a second time, as plainly as they can be: sorted lists, no speed; it shares no code.

A command goes in, and out come its events as plain tuples of a name and the fields in their order.
"""

from dataclasses import dataclass, field
from typing import Any

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket, Transfer
from exchange.markets import Market
from exchange.orders import PlaceOrder

Row = tuple[Any, ...]


@dataclass
class NaiveOrder:
    placed: PlaceOrder
    entered: int
    status: str = "new"
    filled: int = 0
    filled_quote: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
    met: "tuple[NaiveOrder, int] | None" = None

    @property
    def left(self) -> int | None:
        return None if self.placed.quantity_lots is None else self.placed.quantity_lots - self.filled


@dataclass
class Naive:
    """One market of an exchange; balances are `[available, held]` by account and asset."""

    market: Market
    sequence: int
    max_fills: int = 1000
    max_open: int = 1000
    balances: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    orders: dict[str, NaiveOrder] = field(default_factory=dict)
    waiting: list[NaiveOrder] = field(default_factory=list)

    def balance(self, account: str, asset: str) -> list[int]:
        return self.balances.setdefault((account, asset), [0, 0])

    def resting(self, side: str | None = None) -> list[NaiveOrder]:
        """All open orders, best price first, then oldest; of both sides when none is named: oldest first."""
        self.waiting = [order for order in self.waiting if order.status in ("new", "partially_filled")]
        found = self.waiting
        if side is not None:
            sign = -1 if side == "buy" else 1
            found = [order for order in found if order.placed.side == side]
            found.sort(key=lambda order: sign * (order.placed.price_ticks or 0))
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

    def apply(self, command: Any) -> list[Row]:
        self.sequence += 1
        if isinstance(command, PlaceOrder):
            return self.place(command)
        if isinstance(command, CancelOrder):
            return self.cancel(command)
        if isinstance(command, CancelOrders):
            return self.cancel_all(command)
        if isinstance(command, Transfer):
            return self.transfer(command)
        assert isinstance(command, ChangeMarket)
        assert command.status is not None
        self.market = _with_status(self.market, command.status)
        return [("MarketChanged", self.market)]

    # --- orders

    def place(self, placed: PlaceOrder) -> list[Row]:
        order = NaiveOrder(placed, self.sequence)
        code = self.refusal(order)
        self.orders[placed.order_id] = order
        if code is not None:
            order.status, order.reason = "rejected", code
            return [("OrderRejected", placed.order_id, placed.account_id, placed.symbol, code)]

        spent_asset = self.market.quote if placed.side == "buy" else self.market.base
        balance = self.balance(placed.account_id, spent_asset)
        hold = self.hold_of(order)
        balance[0] -= hold
        balance[1] += hold

        order.status = "in hand"
        plan, stop = self.walk(order)
        if placed.time_in_force == "fok" and stop != "complete":
            plan = []
        trades = [self.trade(maker, order, lots) for maker, lots in plan]
        if stop == "own" and placed.time_in_force != "fok":
            trades.append(self.prevention(order))

        end = self.end_of(order, stop)
        canceled: list[Row] = []
        if end == "filled":
            order.status = "filled"
        elif end == "rest":
            order.status = "partially_filled" if order.filled else "new"
            self.waiting.append(order)
        else:
            canceled = [self.end(order, end, 0)]
        resting = (order.left or 0) if end == "rest" else 0
        accepted = (
            "OrderAccepted", placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
            resting, balance[0], balance[1],
        )  # fmt: skip
        return [accepted, *trades, *canceled]

    def refusal(self, order: NaiveOrder) -> str | None:
        placed = order.placed
        if self.market.status != "open":
            return "order.market_closed"
        if self.is_too_small(placed):
            return "order.min_notional"
        if placed.quantity_lots is not None and placed.quantity_lots > self.market.max_quantity:
            return "order.max_quantity"
        mine = [other for other in self.resting() if other.placed.account_id == placed.account_id]
        if placed.time_in_force == "gtc" and len(mine) >= self.max_open:
            return "order.too_many_open"
        if placed.post_only and any(self.crosses(placed, other.placed) for other in self.resting(_other(placed.side))):
            return "order.would_cross"
        asset = self.market.base if placed.side == "sell" else self.market.quote
        if self.needed(order) > self.balance(placed.account_id, asset)[0]:
            return "order.insufficient_funds"
        return None

    def is_too_small(self, placed: PlaceOrder) -> bool:
        worth = placed.quote_quantity
        if placed.price_ticks is not None and placed.quantity_lots is not None:
            worth = self.value(placed.price_ticks, placed.quantity_lots)
        return worth is not None and worth < self.market.min_notional

    def needed(self, order: NaiveOrder) -> int:
        """What an order must find available: its hold, its quote quantity, or what it would pay at once."""
        placed = order.placed
        if placed.side == "sell" or placed.price_ticks is not None:
            return self.hold_of(order)
        if placed.quote_quantity is not None:
            return placed.quote_quantity
        return sum(self.value(maker.placed.price_ticks or 0, lots) for maker, lots in self.walk(order)[0])

    def hold_of(self, order: NaiveOrder) -> int:
        """What the unfilled part of an order keeps aside."""
        placed = order.placed
        if placed.side == "sell":
            return self.base(order.left or 0)
        if placed.price_ticks is None:
            return 0
        return self.value(placed.price_ticks, order.left or 0)

    def crosses(self, placed: PlaceOrder, maker: PlaceOrder) -> bool:
        if placed.price_ticks is None:
            return True
        assert maker.price_ticks is not None
        if placed.side == "buy":
            return maker.price_ticks <= placed.price_ticks
        return maker.price_ticks >= placed.price_ticks

    def walk(self, order: NaiveOrder) -> tuple[list[tuple[NaiveOrder, int]], str]:
        """Lot by lot would be the rule; maker by maker it is the same."""
        placed = order.placed
        money = placed.quote_quantity
        lots_left = placed.quantity_lots
        plan: list[tuple[NaiveOrder, int]] = []
        makers = [maker for maker in self.resting(_other(placed.side)) if self.crosses(placed, maker.placed)]
        for maker in makers:
            assert maker.placed.price_ticks is not None
            assert maker.left is not None
            one_lot = self.value(maker.placed.price_ticks, 1)
            if lots_left == 0 or (money is not None and money < one_lot):
                return plan, "complete"
            if maker.placed.account_id == placed.account_id:
                order.met = (
                    maker,
                    min(maker.left, money // one_lot if lots_left is None and money else lots_left or 0),
                )
                return plan, "own"
            if len(plan) == self.max_fills:
                return plan, "bound"
            can = maker.left
            if lots_left is not None:
                can = min(can, lots_left)
                lots_left -= can
            if money is not None:
                can = min(can, money // one_lot)
                money -= can * one_lot
                if can < maker.left:
                    plan.append((maker, can))
                    return plan, "complete"
            plan.append((maker, can))
        return plan, "complete" if lots_left == 0 or money == 0 else "nobody"

    def end_of(self, order: NaiveOrder, stop: str) -> str:
        placed = order.placed
        if stop == "complete":
            return "filled"
        if placed.time_in_force == "fok":
            return "fok_unfilled"
        if stop == "own":
            return "self_trade"
        if stop == "bound" or placed.type == "market":
            return "insufficient_liquidity"
        return "ioc_remainder" if placed.time_in_force == "ioc" else "rest"

    def trade(self, maker: NaiveOrder, taker: NaiveOrder, lots: int) -> Row:
        market = self.market
        price = maker.placed.price_ticks
        assert price is not None
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

    def prevention(self, taker: NaiveOrder) -> Row:
        """Nothing changes by it: the taker is canceled after."""
        assert taker.met is not None
        maker, lots = taker.met
        account, buys = taker.placed.account_id, taker.placed.side == "buy"
        base, quote = self.balance(account, self.market.base), self.balance(account, self.market.quote)
        return (
            "SelfTradePrevented", self.market.symbol, account, maker.placed.order_id, taker.placed.order_id,
            taker.placed.side, taker.placed.self_trade_prevention, maker.placed.price_ticks, lots, maker.left,
            taker.left, 0, *(base if buys else quote), *(quote if buys else base),
        )  # fmt: skip

    def end(self, order: NaiveOrder, reason: str, rested: int) -> Row:
        placed = order.placed
        hold = self.hold_of(order)
        balance = self.balance(placed.account_id, self.market.quote if placed.side == "buy" else self.market.base)
        balance[0] += hold
        balance[1] -= hold
        order.status, order.reason = "canceled", reason
        return (
            "OrderCanceled", placed.order_id, placed.account_id, placed.symbol, placed.side, placed.price_ticks,
            order.left, rested, reason, balance[0], balance[1],
        )  # fmt: skip

    # --- the rest

    def cancel(self, command: CancelOrder) -> list[Row]:
        order = self.orders.get(command.order_id)
        if order is None or order.placed.account_id != command.account_id or order not in self.resting():
            return [("CommandRefused", "order.not_cancelable")]
        if self.market.status == "halted":
            return [("CommandRefused", "order.market_closed")]
        return [self.end(order, "user", order.left or 0)]

    def cancel_all(self, command: CancelOrders) -> list[Row]:
        if self.market.status == "halted":
            return [] if command.symbol is None else [("CommandRefused", "order.market_closed")]
        return [
            self.end(order, "user", order.left or 0)
            for order in self.resting()
            if order.placed.account_id == command.account_id and command.side in (None, order.placed.side)
        ]

    def transfer(self, command: Transfer) -> list[Row]:
        balance = self.balance(command.account_id, command.asset)
        external = self.balance("external", command.asset)
        amount = command.amount if command.kind == "deposit" else -command.amount
        if balance[0] + amount < 0:
            return [("CommandRefused", "order.insufficient_funds")]
        balance[0] += amount
        external[0] -= amount
        return [
            (
                "Transferred", command.kind, command.account_id, command.asset, amount, command.reference,
                balance[0], balance[1], external[0],
            )
        ]  # fmt: skip


def _other(side: str) -> str:
    return "sell" if side == "buy" else "buy"


def _with_status(market: Market, status: Any) -> Market:
    values = {name: getattr(market, name) for name in market.__struct_fields__}
    return Market(**{**values, "status": status})
