"""The rules of trading written a second time, as plainly as they can be: sorted lists, no speed; it shares no code.

A command goes in, and out come its events as plain tuples of a name and the fields in their order.
"""

from dataclasses import dataclass
from typing import Any

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket, Transfer
from exchange.markets import Market
from exchange.orders import PlaceOrder
from tests.naive_ledger import OPEN, NaiveLedger, NaiveOrder, Row

__all__ = ["Naive", "NaiveOrder", "Row"]


@dataclass
class Naive(NaiveLedger):
    """One market of an exchange that takes limit and market orders, cancels and transfers."""

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
        order = self.orders[placed.order_id] = NaiveOrder(placed, self.sequence, created=self.time)
        if placed.expire_time is not None and placed.expire_time <= self.time:
            return self.too_late(order)
        code = self.refusal(order)
        if code is not None:
            return [self.rejected(order, code)]
        self.hold(order)
        rows = self.work(order)
        return [self.accepted(order), *rows]

    def too_late(self, order: NaiveOrder) -> list[Row]:
        order.status = "in hand"
        ended = self.end(order, "expired")
        return [self.accepted(order), ended]

    def rejected(self, order: NaiveOrder, code: str) -> Row:
        placed = order.placed
        order.status, order.reason = "rejected", code
        return ("OrderRejected", placed.order_id, placed.account_id, placed.symbol, code)

    def work(self, order: NaiveOrder) -> list[Row]:
        """Let an order in hand trade, and rest or end."""
        plan, stop = self.walk(order)
        if order.placed.time_in_force == "fok" and stop not in ("complete", "decremented"):
            plan = []
        rows: list[Row] = []
        for maker, lots in plan:
            if maker.placed.account_id == order.placed.account_id:
                rows += self.prevent(maker, order, lots)
            else:
                rows += self.meet(maker, order, lots)
        end = self.end_of(order, stop)
        if end == "filled":
            order.status = "filled"
        elif end == "rest":
            order.status = "partially_filled" if order.filled else "new"
            order.shown = self.slice_of(order)
            self.waiting.append(order)
        else:
            rows.append(self.end(order, end))
        return rows

    def refusal(self, order: NaiveOrder) -> str | None:
        placed = order.placed
        if self.market.status != "open":
            return "order.market_closed"
        if self.is_too_small(placed):
            return "order.min_notional"
        if placed.quantity_lots is not None and placed.quantity_lots > self.market.max_quantity:
            return "order.max_quantity"
        mine = [other for other in self.open_orders() if other.placed.account_id == placed.account_id]
        may_stay = placed.time_in_force not in ("ioc", "fok") or order.status == "pending_trigger"
        if may_stay and len([other for other in mine if other is not order]) >= self.max_open:
            return "order.too_many_open"
        if placed.post_only and any(self.crosses(placed, other.placed) for other in self.resting(_other(placed.side))):
            return "order.would_cross"
        if self.needed(order) > self.spends(order)[0]:
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
        if order.need is not None:
            return order.need
        if placed.side == "sell" or placed.price_ticks is not None:
            return self.hold_of(order)
        if placed.quote_quantity is not None:
            return placed.quote_quantity
        if order.status == "pending_trigger":
            return 0
        plan, _ = self.walk(order)
        return sum(self.value(maker.price, lots) for maker, lots in plan if not self.are_one(maker, order))

    def crosses(self, placed: PlaceOrder, maker: PlaceOrder) -> bool:
        if placed.price_ticks is None:
            return True
        assert maker.price_ticks is not None
        if placed.side == "buy":
            return maker.price_ticks <= placed.price_ticks
        return maker.price_ticks >= placed.price_ticks

    def is_in_band(self, price: int) -> bool:
        return True

    def walk(self, order: NaiveOrder) -> tuple[list[tuple[NaiveOrder, int]], str]:
        """Whom an order meets, for how many lots each, and why it ends there.

        A fok order trades only if others give it all it wants, its own orders passed over.
        """
        mode: str = order.placed.self_trade_prevention
        if order.placed.time_in_force == "fok" and mode == "decrement":
            plan, stop = self.walk_as(order, "cancel_oldest")
            if stop != "complete":
                return plan, stop
        return self.walk_as(order, mode)

    def walk_as(self, order: NaiveOrder, mode: str) -> tuple[list[tuple[NaiveOrder, int]], str]:
        """Lot by lot would be the rule; slice by slice it is the same."""
        money = order.placed.quote_quantity
        rest = (order.left or 0) if money is None else money
        plan: list[tuple[NaiveOrder, int]] = []
        met = ""
        for maker, offered in self.line(order):
            cost = 1 if money is None else self.value(maker.price, 1)
            lots = min(offered, rest // cost)
            if not lots:
                return plan, "decremented" if met == "decrement" else "complete"
            if not self.is_in_band(maker.price):
                return plan, "band"
            met = mode if self.are_one(maker, order) else ""
            if not met and sum(not self.are_one(each, order) for each, _ in plan) == self.max_fills:
                return plan, "bound"
            plan.append((maker, lots))
            if met in ("cancel_newest", "cancel_both"):
                return plan, "own"
            rest -= 0 if met == "cancel_oldest" else lots * cost
            if lots < offered and met != "cancel_oldest":
                return plan, "decremented" if met == "decrement" else "complete"
        if rest:
            return plan, "nobody"
        return plan, "decremented" if met == "decrement" else "complete"

    def line(self, order: NaiveOrder) -> list[tuple[NaiveOrder, int]]:
        """Who stands in line for an order, slice by slice; of its own account everybody once and whole."""
        line: list[tuple[NaiveOrder, int]] = []
        makers = [
            maker for maker in self.resting(_other(order.placed.side)) if self.crosses(order.placed, maker.placed)
        ]
        while makers:
            queue = [(maker, maker.left or 0, maker.display) for maker in makers if maker.price == makers[0].price]
            makers = makers[len(queue) :]
            while queue:
                maker, left, shown = queue.pop(0)
                lots = left if self.are_one(maker, order) else shown
                line.append((maker, lots))
                if lots < left:
                    queue.append((maker, left - lots, min(maker.placed.display_lots or 0, left - lots)))
        return line

    def end_of(self, order: NaiveOrder, stop: str) -> str:
        placed = order.placed
        if stop == "complete":
            return "filled"
        if stop == "decremented":
            return "self_trade"
        if placed.time_in_force == "fok":
            return "fok_unfilled"
        if stop == "own":
            return "self_trade"
        if stop == "bound" or placed.price_ticks is None:
            return "insufficient_liquidity"
        return "ioc_remainder" if placed.time_in_force == "ioc" else "rest"

    # --- the rest

    def cancel(self, command: CancelOrder) -> list[Row]:
        order = self.orders.get(command.order_id)
        if order is None or order.placed.account_id != command.account_id or order not in self.open_orders():
            return [("CommandRefused", "order.not_cancelable")]
        if self.market.status == "halted":
            return [("CommandRefused", "order.market_closed")]
        return self.take_away(order, "user")

    def cancel_all(self, command: CancelOrders) -> list[Row]:
        if self.market.status == "halted":
            return [] if command.symbol is None else [("CommandRefused", "order.market_closed")]
        return self.every_order(command.account_id, "user", command.side)

    def every_order(self, account: str, reason: str, side: str | None = None) -> list[Row]:
        rows: list[Row] = []
        for order in self.open_orders():
            if order.placed.account_id == account and side in (None, order.placed.side) and order.status in OPEN:
                rows += self.take_away(order, reason)
        return rows

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
