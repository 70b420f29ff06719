"""The rules of waiting orders, pairs, amends and expiry once more, as plainly as they can be; it shares no code."""

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from exchange.commands import AmendOrder, PlacePair
from exchange.orders import PlaceOrder
from tests.naive_auctions import NaiveExchange
from tests.naive_ledger import NaiveOrder, Row
from tests.naive_tiers import DAY


def falls(placed: PlaceOrder) -> bool:
    """Whether an order triggers at or below its price, and not at or above it."""
    return (placed.side == "sell") != placed.type.startswith("take_profit")


@dataclass
class NaiveWhole(NaiveExchange):
    """A market with everything; an order waits while it is `pending_trigger`."""

    def apply(self, command: Any) -> list[Row]:
        if not isinstance(command, AmendOrder | PlacePair):
            return super().apply(command)
        self.sequence += 1
        return self.amend(command) if isinstance(command, AmendOrder) else self.place_pair(command)

    # --- waiting

    def place(self, placed: PlaceOrder) -> list[Row]:
        if placed.type in ("limit", "market"):
            return super().place(placed)
        order = NaiveOrder(placed, self.sequence, "pending_trigger", created=self.time)
        self.orders[placed.order_id] = order
        if placed.expire_time is not None and placed.expire_time <= self.time:
            return self.too_late(order)
        code = self.waiting_refusal(order)
        if code is not None:
            return [self.rejected(order, code)]
        self.hold(order)
        self.wait(order)
        return [self.accepted(order)]

    def wait(self, order: NaiveOrder) -> None:
        order.status, order.trigger = "pending_trigger", order.placed.stop_price_ticks
        self.waiting.append(order)
        self.trail(order)

    def waiting_refusal(self, order: NaiveOrder) -> str | None:
        code = self.refusal(order)
        stop = order.placed.stop_price_ticks
        if code not in (None, "order.insufficient_funds") or stop is None or self.last_price is None:
            return code
        reached = self.last_price <= stop if falls(order.placed) else self.last_price >= stop
        return "order.would_trigger" if reached else code

    def trail(self, order: NaiveOrder) -> None:
        """Let the trigger of a trailing order follow the last price, never back."""
        delta = order.placed.trailing_delta_ticks
        if delta is None or self.last_price is None:
            return
        if falls(order.placed):
            order.trigger = max(order.trigger if order.trigger is not None else -(10**20), self.last_price - delta)
        else:
            order.trigger = min(order.trigger if order.trigger is not None else 10**20, self.last_price + delta)

    def follow(self) -> None:
        """Move what trails the last price, and find what it reached."""
        for order in self.open_orders():
            if order.status != "pending_trigger" or order.is_due or self.last_price is None:
                continue
            self.trail(order)
            assert order.trigger is not None
            if self.last_price <= order.trigger if falls(order.placed) else self.last_price >= order.trigger:
                order.is_due, order.trigger = True, None

    def finish(self, rows: list[Row]) -> list[Row]:
        """Trigger what was reached, the oldest first, and what that reaches in turn."""
        assert len(rows) < 900, "the bounds of one command are not modelled"
        following: list[Row] = []
        self.follow()
        while self.market.status == "open" and (due := [order for order in self.open_orders() if order.is_due]):
            following += self.fire(due[0])
            self.follow()
        return following

    def fire(self, order: NaiveOrder) -> list[Row]:
        struck = self.strike(order)
        self.waiting.remove(order)
        order.status, order.is_due = "in hand", False
        rows = struck()
        if order.placed.price_ticks is None and self.needed(order) > self.spends(order)[0] + self.hold_of(order):
            rows.append(self.end(order, "insufficient_funds"))
        else:
            rows += self.work(order)
        return [self.accepted(order, "OrderTriggered"), *rows]

    # --- pairs

    def place_pair(self, command: PlacePair) -> list[Row]:
        legs = [NaiveOrder(placed, self.sequence, created=self.time) for placed in (command.first, command.second)]
        need = max(self.hold_of(leg) for leg in legs)
        for leg, other in (legs, legs[::-1]):
            self.orders[leg.placed.order_id] = leg
            leg.partner, leg.need = other, need
            leg.status = "new" if leg.placed.type == "limit" else "pending_trigger"
        if any(leg.placed.expire_time is not None and leg.placed.expire_time <= self.time for leg in legs):
            return [row for leg in legs for row in self.too_late(leg)]
        for leg in legs:
            code = self.refusal(leg) if leg.placed.type == "limit" else self.waiting_refusal(leg)
            if code is not None:
                return [self.rejected(leg, code) for leg in legs]
        self.move(legs[0], need)
        rows: list[Row] = []
        for leg in sorted(legs, key=lambda leg: leg.placed.type == "limit"):
            leg.holds, leg.need = True, None
            if leg.placed.type == "limit":
                rows = self.work_leg(leg)
            else:
                self.wait(leg)
        here = [leg for leg in legs if leg in self.waiting]
        self.waiting = [order for order in self.waiting if order not in here] + here
        return [self.accepted(leg) for leg in legs] + rows

    def work_leg(self, leg: NaiveOrder) -> list[Row]:
        """Let the limit order of a pair trade and rest; unless it rests whole the other is canceled."""
        struck = self.strike(leg)
        leg.status = "in hand"
        rows = self.work(leg)
        is_whole = leg.status == "new" and not leg.prevented
        return rows if is_whole else rows + struck()

    # --- amends

    def amend(self, command: AmendOrder) -> list[Row]:
        order = self.orders.get(command.order_id)
        if order is None or order.placed.account_id != command.account_id or order not in self.open_orders():
            return [("CommandRefused", "order.not_cancelable")]
        if self.partner_of(order) is not None:
            return [("CommandRefused", "order.combination")]
        old, was, shown = order.placed, order.left or 0, order.display
        wished = self.wished(order, command)
        left = (wished.quantity_lots or 0) - order.filled - order.prevented
        if left <= 0:
            return [("CommandRefused", "request.invalid")]
        keeps = wished.price_ticks == old.price_ticks and left <= was
        code = self.amend_refusal(order, wished, keeps)
        if code is not None:
            return [("CommandRefused", code)]
        before = self.hold_of(order)
        order.placed = wished
        self.move(order, self.hold_of(order) - before)
        rows: list[Row] = []
        if keeps:
            order.shown = None if order.shown is None else min(order.shown, left)
        else:
            self.waiting.remove(order)
            if order.status == "pending_trigger":
                self.waiting.append(order)
            else:
                order.status, order.shown = "in hand", None
                rows = self.work(order)
        amended = (
            "OrderAmended", old.order_id, old.account_id, old.symbol, old.side, old.price_ticks, shown,
            wished.price_ticks, order.display, wished.quantity_lots, order.left, keeps, *self.spends(order),
        )  # fmt: skip
        return [amended, *rows]

    def wished(self, order: NaiveOrder, command: AmendOrder) -> PlaceOrder:
        lots, price = order.placed.quantity_lots, order.placed.price_ticks
        if command.quantity is not None:
            lots, beyond = divmod(command.quantity, self.market.lot_size)
            assert not beyond
        if command.price is not None:
            price, beyond = divmod(command.price, self.market.tick_size)
            assert not beyond
        return replace(order.placed, quantity_lots=lots, price_ticks=price)

    def amend_refusal(self, order: NaiveOrder, wished: PlaceOrder, keeps: bool) -> str | None:
        if self.states.get(wished.account_id, "active") != "active":
            return "account.suspended"
        if self.market.status not in ("open", "auction"):
            return "order.market_closed"
        if keeps:
            return "order.min_notional" if self.is_too_small(wished) else None
        if self.market.status == "auction":
            wished = replace(wished, post_only=False)
        becomes = NaiveOrder(wished, order.entered, order.status, order.filled, prevented=order.prevented)
        becomes.need = max(0, self.hold_of(becomes) - self.hold_of(order))
        return self.refusal(becomes)

    # --- time

    def expiring(self) -> list[tuple[int, int, int, Any]]:
        """When which order expires, those entered first before others."""
        found: list[tuple[int, int, int, Any]] = []
        for order in self.open_orders():
            if order.placed.time_in_force == "gtd":
                found.append((order.placed.expire_time or 0, 0, order.entered, order.placed.order_id))
            if order.placed.time_in_force == "day":
                found.append(((order.created // DAY + 1) * DAY, 0, order.entered, order.placed.order_id))
        return found

    def expire(self, order_id: str) -> list[Row]:
        order = self.orders[order_id]
        return self.take_away(order, "expired") if order in self.open_orders() else []
