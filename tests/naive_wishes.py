"""Random commands for one small market, so small that most orders meet others; an edge would let each of them pass."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exchange.commands import (
    AdvanceTime,
    AmendOrder,
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    ChangeMarket,
    Command,
    HaltExchange,
    KillSwitch,
    PlacePair,
    ResumeExchange,
    Transfer,
)
from exchange.markets import FeeTier, MarketStatus, ReferencePolicy
from exchange.orders import OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce
from tests.engines import SYMBOL

ACCOUNTS = ("alice", "bob", "carol")
MIDDLE = 100
STEP = 10**16
LIMIT, MARKET, TRAILING = OrderType.LIMIT, OrderType.MARKET, OrderType.TRAILING_STOP
STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)
PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
LOTS = (1, 2, 3, 5, 8, 13, 29, 31)


@dataclass(frozen=True)
class Hour:
    """What a wish is made by: chance, its number, the time, and the open orders with their accounts."""

    chance: random.Random
    number: int
    time: int
    known: list[tuple[str, str]]

    @property
    def name(self) -> str:
        return f"x-{self.number}"

    def account(self) -> str:
        return self.chance.choice(ACCOUNTS)

    def order(self) -> tuple[str, str]:
        """An open order and its account, or one that may be anything."""
        if self.known and self.chance.random() < 0.85:
            return self.chance.choice(self.known)
        return f"1-{self.chance.randrange(self.number + 1)}", self.account()


def random_command(hour: Hour) -> Command:
    kinds: tuple[tuple[Callable[[Hour], Command], int], ...] = (
        (random_order, 56), (random_cancel, 8), (random_amend, 14), (random_pair, 6), (random_transfer, 3),
        (random_cancels, 1), (random_change, 5), (random_safeguard, 3), (lambda _: AdvanceTime(), 4),
    )  # fmt: skip
    (kind,) = hour.chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
    return kind(hour)


def random_order(hour: Hour) -> PlaceOrder:
    side = hour.chance.choice((Side.BUY, Side.SELL))
    kind = hour.chance.choices(tuple(OrderType), (20, 5, 2, 2, 2, 2, 3))[0]
    return order_of(hour, f"1-{hour.number}", hour.account(), side, kind)


def order_of(hour: Hour, order_id: str, account: str, side: Side, kind: OrderType, forces: bool = True) -> PlaceOrder:
    chance = hour.chance
    weights = (0, 1, 1, 0, 0) if kind is MARKET else (9, 1, 1, 1, 1) if forces else (1, 0, 0, 0, 0)
    force = chance.choices(tuple(TimeInForce), weights)[0]
    eager = 1 if side is Side.BUY else -1
    price = MIDDLE + eager * chance.randint(-8, 3) if kind in PRICED else None
    lots = None if kind is MARKET and side is Side.BUY and chance.random() < 0.5 else chance.choice(LOTS)
    options = options_of(hour, kind, force, eager, lots)
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, kind, lots, price, force, **options)


def options_of(hour: Hour, kind: OrderType, force: TimeInForce, eager: int, lots: int | None) -> dict[str, Any]:
    chance = hour.chance
    rests = kind in PRICED and force not in (TimeInForce.IOC, TimeInForce.FOK)
    options: dict[str, Any] = {"self_trade_prevention": chance.choice(tuple(SelfTradePrevention))}
    if lots is None:
        options["quote_quantity"] = chance.randint(200, 4000)
    if kind is TRAILING:
        options["trailing_delta_ticks"] = chance.randint(1, 4)
    elif kind not in (LIMIT, MARKET):
        away = eager if kind in STOPS else -eager
        options["stop_price_ticks"] = MIDDLE + away * chance.randint(-2, 7)
    if rests and lots is not None and chance.random() < 0.25:
        options["display_lots"] = chance.randint(1, lots)
    if force is TimeInForce.GTD:
        options["expire_time"] = hour.time + chance.choice((0, 5_000, 100_000, 10**11))
    if kind is LIMIT and rests and chance.random() < 0.1:
        options["post_only"] = True
    return options


def random_pair(hour: Hour) -> PlacePair:
    chance, account = hour.chance, hour.account()
    side = chance.choice((Side.BUY, Side.SELL))
    profit = chance.choices((LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT), (3, 1, 1))[0]
    stop = chance.choice((*STOPS, TRAILING))
    legs = [
        order_of(hour, f"1-{hour.number}{leg}", account, side, kind, chance.random() < 0.1 and kind is not LIMIT)
        for leg, kind in (("", profit), ("b", stop))
    ]
    if chance.random() < 0.5:
        legs.reverse()
    return PlacePair(*legs)


def random_cancel(hour: Hour) -> CancelOrder:
    order_id, account = hour.order()
    return CancelOrder(hour.name, account, order_id)


def random_amend(hour: Hour) -> AmendOrder:
    order_id, account = hour.order()
    quantity = hour.chance.choice((None, *LOTS))
    price = hour.chance.choice((None, MIDDLE + hour.chance.randint(-8, 8)))
    lots, ticks = None if quantity is None else quantity * STEP, None if price is None else price * STEP
    return AmendOrder(hour.name, account, order_id, lots, ticks)


def random_cancels(hour: Hour) -> CancelOrders:
    side = hour.chance.choice((None, Side.BUY, Side.SELL))
    return CancelOrders(hour.name, hour.account(), hour.chance.choice((None, SYMBOL)), side)


def random_transfer(hour: Hour) -> Transfer:
    kind, asset = hour.chance.choice(("deposit", "withdrawal")), hour.chance.choice(("USD", "BTC"))
    return Transfer(kind, hour.account(), asset, hour.chance.randint(1, 2000), f"t-{hour.number}")


def random_change(hour: Hour) -> ChangeMarket:
    chance, kind = hour.chance, hour.chance.random()
    if kind < 0.8:
        statuses = (MarketStatus.OPEN, MarketStatus.AUCTION, MarketStatus.HALTED, MarketStatus.CANCEL_ONLY)
        return ChangeMarket(hour.name, SYMBOL, chance.choices(statuses, (20, 3, 1, 1))[0])
    if kind < 0.87:
        band = chance.choice((None, 10_000_000, 100_000_000))
        return ChangeMarket(hour.name, SYMBOL, price_band=band, clears_price_band=band is None)
    if kind < 0.93:
        return ChangeMarket(hour.name, SYMBOL, reference=chance.choice(tuple(ReferencePolicy)))
    tiers = chance.choice(((), (FeeTier(500, 0, 50_000_000),), (FeeTier(0, 1, 1), FeeTier(900, -1, 1))))
    return ChangeMarket(hour.name, SYMBOL, chance.choice((None, MarketStatus.OPEN)), fee_tiers=tiers)


def random_safeguard(hour: Hour) -> Command:
    chance, kind = hour.chance, hour.chance.random()
    if kind < 0.2:
        return CancelAllAfter(hour.name, hour.account(), chance.choice((0, 5, 50)))
    if kind < 0.8:
        status = chance.choices(("active", "cancel_only", "suspended"), (14, 1, 1))[0]
        return ChangeAccount(hour.name, hour.account(), status)
    if kind < 0.83:
        return KillSwitch(hour.name, hour.account())
    return chance.choices((HaltExchange(hour.name), ResumeExchange(hour.name)), (1, 9))[0]
