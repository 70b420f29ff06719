"""The rules of auctions, bands and account states once more, as plainly as they can be; it shares no code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from exchange.commands import (
    AdvanceTime,
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    ChangeMarket,
    HaltExchange,
    KillSwitch,
    ResumeExchange,
)
from exchange.markets import Market
from tests.naive import NaiveOrder, Row
from tests.naive_tiers import DAY, NaiveTiers, rounded_up

NOTHING = (None, 0, 0)
EARLIER = ("order.market_closed", "account.suspended")
"""What is looked at before the band."""


def naive_price(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], reference: int | None
) -> tuple[int, int, int] | None:
    """Try every price there is; return price, lots and surplus of the best."""
    prices = [price for price, _ in bids + asks]
    best = None
    for price in range(min(prices, default=1), max(prices, default=0) + 1):
        bid = sum(lots for at, lots in bids if at >= price)
        asked = sum(lots for at, lots in asks if at <= price)
        distance = 0 if reference is None else abs(price - reference)
        rank = (-min(bid, asked), abs(bid - asked), distance, price)
        if min(bid, asked) and (best is None or rank < best[0]):
            best = (rank, (price, min(bid, asked), bid - asked))
    return None if best is None else best[1]


@dataclass
class NaiveExchange(NaiveTiers):
    """A market with bands, auctions and tiers, and accounts with states; `created` are the accounts in order."""

    created: tuple[str, ...] = ()
    states: dict[str, str] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    auction_price: int | None = None
    band_around: int | None = None
    ends: int | None = None
    indicated: tuple[int | None, int, int] = NOTHING
    stopped_by_band: bool = False

    def at(self, command: Any, time: int) -> list[Row]:
        """Apply a command at a time, with all that follows from it."""
        self.time = time
        self.band_around = self.reference()
        rows = self.apply(command)
        rows += self.finish(rows)
        if self.market.status == "auction":
            now = self.clearing() or NOTHING
            if now != self.indicated:
                rows.append(("IndicationChanged", self.market.symbol, *now))
                self.indicated = now
        return rows

    def apply(self, command: Any) -> list[Row]:
        own: dict[Any, Callable[[Any], list[Row]]] = {
            AdvanceTime: self.advance,
            CancelAllAfter: self.cancel_all_after,
            ChangeAccount: self.change_account,
            ChangeMarket: self.change_market,
            HaltExchange: self.halt,
            KillSwitch: self.kill,
            ResumeExchange: self.resume,
        }
        if type(command) not in own:
            return super().apply(command)
        self.sequence += 1
        return own[type(command)](command)

    def with_status(self, status: str, before: str | None = None) -> Row:
        self.market = changed(self.market, status=type(self.market.status)(status), status_before_halt=before)
        return ("MarketChanged", self.market)

    def finish(self, rows: list[Row]) -> list[Row]:
        """What is set off where a command with these rows ends."""
        return []

    def expiring(self) -> list[tuple[int, int, int, Any]]:
        """When which order expires, in the form of all that is due."""
        return []

    def expire(self, order_id: str) -> list[Row]:
        raise AssertionError(order_id)

    # --- bands

    def reference(self) -> int | None:
        return self.auction_price if self.market.reference == "last_auction" else self.last_price

    def is_in_band(self, price: int) -> bool:
        if self.market.price_band is None or self.band_around is None:
            return True
        width = Fraction(self.market.price_band, 10**9)
        return self.band_around * (1 - width) <= price <= self.band_around * (1 + width)

    def walk(self, order: NaiveOrder) -> tuple[list[tuple[NaiveOrder, int]], str]:
        """An order meets nobody in an auction, and nobody where the best is better than the band lets it be."""
        if self.market.status != "open":
            return [], "nobody"
        placed = order.placed
        others = self.resting("sell" if placed.side == "buy" else "buy")
        if others and self.crosses(placed, others[0].placed) and not self.is_in_band(others[0].price):
            is_low = others[0].price < (self.band_around or 0)
            if is_low is (placed.side == "buy"):
                return [], "band"
        return super().walk(order)

    def refusal(self, order: NaiveOrder) -> str | None:
        placed = order.placed
        if self.states.get(placed.account_id, "active") != "active":
            return "account.suspended"
        if self.market.status != "auction":
            code = super().refusal(order)
            if code not in EARLIER and placed.price_ticks is not None and not self.is_in_band(placed.price_ticks):
                width = Fraction(self.market.price_band or 0, 10**9) * (1 if placed.side == "buy" else -1)
                edge = (self.band_around or 0) * (1 + width)
                if placed.price_ticks > edge if placed.side == "buy" else placed.price_ticks < edge:
                    return "order.price_band"
            return code
        rests = placed.price_ticks is not None and placed.time_in_force not in ("ioc", "fok") and not placed.post_only
        if not rests and order.status != "pending_trigger":
            return "order.market_closed"
        self.with_status("open")
        code = super().refusal(order)
        self.with_status("auction")
        return code

    def end_of(self, order: NaiveOrder, stop: str) -> str:
        self.stopped_by_band = stop == "band" and order.placed.time_in_force != "fok"
        if not self.stopped_by_band:
            return super().end_of(order, "nobody" if stop == "band" else stop)
        rests = order.placed.price_ticks is not None and order.placed.time_in_force not in ("ioc", "fok")
        return "rest" if rests else "insufficient_liquidity"

    def work(self, order: NaiveOrder) -> list[Row]:
        self.stopped_by_band = False
        rows = super().work(order)
        if self.stopped_by_band:
            self.ends = self.time + self.market.volatility_auction_ms * 1000
            started = ("AuctionStarted", self.market.symbol, self.ends, self.reference())
            rows += [started, self.with_status("auction")]
        return rows

    # --- auctions

    def clearing(self) -> tuple[int, int, int] | None:
        bids = [(order.placed.price_ticks or 0, order.left or 0) for order in self.resting("buy")]
        asks = [(order.placed.price_ticks or 0, order.left or 0) for order in self.resting("sell")]
        return naive_price(bids, asks, self.reference())

    def uncross(self) -> list[Row]:
        """Trade lot by lot what accepts the price; the market is open then."""
        found = self.clearing()
        self.ends, self.indicated = None, NOTHING
        if found is None:
            return [("AuctionEnded", self.market.symbol, None, 0)]
        price, lots, _ = found
        bids = [order for order in self.resting("buy") if (order.placed.price_ticks or 0) >= price]
        asks = [order for order in self.resting("sell") if (order.placed.price_ticks or 0) <= price]
        before = {order.placed.order_id: (order.left or 0, order.display) for order in bids + asks}
        rows = []
        while bids and asks:
            bid, ask = bids[0], asks[0]
            struck = [self.strike(order) for order in (bid, ask)]
            rows.append(self.auction_trade(bid, ask, min(bid.left or 0, ask.left or 0), price))
            rows += [row for other_leg in struck for row in other_leg()]
            bids, asks = [each for each in bids if each.left], [each for each in asks if each.left]
        self.last_price = self.auction_price = self.band_around = price
        rows.append(("BookUncrossed", self.market.symbol, self.gone("buy", before), self.gone("sell", before)))
        return [*rows, ("AuctionEnded", self.market.symbol, price, lots)]

    def gone(self, side: str, before: dict[str, tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
        """What left each level since, of what it showed, best first."""
        levels: dict[int, tuple[int, int]] = {}
        for order_id, (left, shown) in before.items():
            order = self.orders[order_id]
            if order.placed.side == side and order.left != left:
                lots, orders = levels.get(order.price, (0, 0))
                levels[order.price] = (lots + shown - order.display, orders + (not order.left))
        return tuple((price, *levels[price]) for price in sorted(levels, reverse=side == "buy"))

    def auction_trade(self, bid: NaiveOrder, ask: NaiveOrder, lots: int, price: int) -> Row:
        market = self.market
        base, quote = self.base(lots), self.value(price, lots)
        paid: dict[str, int] = {}
        of_base, of_quote = (market.base, base), (market.quote, quote)
        for order, pays, gets in ((bid, of_quote, of_base), (ask, of_base, of_quote)):
            account, hold = order.placed.account_id, self.hold_of(order)
            order.filled += lots
            order.filled_quote += quote
            order.status = "partially_filled" if order.left else "filled"
            order.shown = None if order.shown is None else min(order.shown, order.left or 0)
            fee = rounded_up(gets[1], self.rates(account)[1])
            order.fees[gets[0]] = order.fees.get(gets[0], 0) + fee
            paid[order.placed.order_id] = fee
            pocket = self.balance(account, pays[0])
            pocket[1] -= hold - self.hold_of(order)
            pocket[0] += hold - self.hold_of(order) - pays[1]
            self.balance(account, gets[0])[0] += gets[1] - fee
            self.balance("fees", gets[0])[0] += fee
            self.count(account, quote)
        maker, taker = sorted((bid, ask), key=self.waiting.index)
        absolutes: list[int] = []
        for order in (maker, taker):
            for asset in (market.base, market.quote):
                absolutes += self.balance(order.placed.account_id, asset)
        return (
            "Trade", market.symbol, maker.placed.order_id, maker.placed.account_id, taker.placed.order_id,
            taker.placed.account_id, taker.placed.side, price, lots, quote, paid[maker.placed.order_id],
            paid[taker.placed.order_id], maker.left, taker.left, *absolutes,
            self.balance("fees", market.base)[0], self.balance("fees", market.quote)[0], True,
        )  # fmt: skip

    def change_market(self, command: ChangeMarket) -> list[Row]:
        before = {account: self.rates(account) for account in self.with_volume()}
        names = ("min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate", "price_band", "reference")
        for name in (*names, "volatility_auction_ms", "fee_tiers"):
            if getattr(command, name) is not None:
                self.market = changed(self.market, **{name: getattr(command, name)})
        if command.clears_price_band:
            self.market = changed(self.market, price_band=None)
        tiers = [] if command.fee_tiers is None else self.tiers_changed(before)
        rows = [] if command.status is None else self.change_status(command.status)
        return [*rows, ("MarketChanged", self.market), *tiers]

    def change_status(self, status: str) -> list[Row]:
        was = self.market.status_before_halt or self.market.status
        rows: list[Row] = []
        if status == "auction" and was != "auction":
            rows = [("AuctionStarted", self.market.symbol, None, self.reference())]
        if status == "open" and (was == "auction" or self.clearing()):
            rows = self.uncross()
        elif was == "auction" and status != "auction":
            rows = [("AuctionEnded", self.market.symbol, None, 0)]
            self.ends, self.indicated = None, NOTHING
        self.with_status(status)
        return rows

    def halt(self, _command: HaltExchange) -> list[Row]:
        if self.market.status_before_halt is not None:
            return [("ExchangeHalted",)]
        return [("ExchangeHalted",), self.with_status("halted", self.market.status)]

    def resume(self, _command: ResumeExchange) -> list[Row]:
        before = self.market.status_before_halt
        return [("ExchangeResumed",)] if before is None else [("ExchangeResumed",), self.with_status(before)]

    # --- accounts

    def cancel(self, command: CancelOrder) -> list[Row]:
        if self.states.get(command.account_id) == "suspended":
            return [("CommandRefused", "account.suspended")]
        return super().cancel(command)

    def cancel_all(self, command: CancelOrders) -> list[Row]:
        if self.states.get(command.account_id) == "suspended":
            return [("CommandRefused", "account.suspended")]
        return super().cancel_all(command)

    def change_account(self, command: ChangeAccount) -> list[Row]:
        self.states[command.account_id] = command.status
        return [("AccountChanged", command.account_id, command.status)]

    def kill(self, command: KillSwitch) -> list[Row]:
        account = command.account_id
        if self.states.get(account, "active") == "active":
            self.states[account] = "cancel_only"
        return [("AccountChanged", account, self.states[account]), *self.every_order(account, "kill_switch")]

    def cancel_all_after(self, command: CancelAllAfter) -> list[Row]:
        if self.states.get(command.account_id) == "suspended":
            return [("CommandRefused", "account.suspended")]
        self.deadlines.pop(command.account_id, None)
        if command.timeout_ms:
            self.deadlines[command.account_id] = self.time + command.timeout_ms * 1000
        return [("DeadManSet", command.account_id, self.deadlines.get(command.account_id))]

    # --- time

    def advance(self, _command: AdvanceTime) -> list[Row]:
        """Fire what is due, in order of due time, then of what it is, then of age."""
        due = self.expiring()
        for account, deadline in self.deadlines.items():
            due.append((deadline, 1, self.created.index(account), account))
        if self.fee_day is not None:
            due.append(((self.fee_day + 1) * DAY, 2, 0, None))
        if self.ends is not None and self.market.status == "auction":
            due.append((self.ends, 3, 0, None))
        rows: list[Row] = [("TimeAdvanced",)]
        for when, kind, _, account in sorted(due):
            if when <= self.time and kind == 0:
                rows += self.expire(account)
            elif when <= self.time and kind == 1:
                del self.deadlines[account]
                rows += [("DeadManSet", account, None), *self.every_order(account, "dead_man")]
            elif when <= self.time and kind == 2:
                rows += self.begin_day()
            elif when <= self.time:
                rows += [*self.uncross(), self.with_status("open")]
        return rows


def changed(market: Market, **values: Any) -> Market:
    kept = {name: getattr(market, name) for name in market.__struct_fields__}
    return Market(**{**kept, **values})
