"""Commands of every kind with every option, at random, for the seeded exchange; many are refused, as they should be."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from exchange.commands import (
    AmendOrder,
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    ChangeMarket,
    Command,
    CreateAccount,
    CreateApiKey,
    DeleteApiKey,
    HaltExchange,
    KillSwitch,
    PlacePair,
    ResumeExchange,
    Transfer,
)
from exchange.markets import FeeTier, MarketStatus, ReferencePolicy
from exchange.orders import OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce, order_id_of
from matching_service import seed

CELL = 1
SYMBOLS = ("BTC-USD", "ETH-USD")
MIDDLE_TICKS = 3_000
SPREAD_TICKS = 12
LIMIT_TYPES = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)
TAKES = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
DAY_US = 86_400_000_000


class Commands:
    """A stream of commands; `now` is the engine time by which timers are set."""

    def __init__(self, chance: random.Random, now: Callable[[], int]) -> None:
        self.chance = chance
        self.now = now
        self.number = 0
        self.placed: list[tuple[str, str]] = []

    def take(self, count: int) -> Iterator[Command]:
        """Yield so many commands."""
        kinds: tuple[tuple[Callable[[], Command], int], ...] = (
            (self.order, 60), (self.cancel, 14), (self.amend, 8), (self.pair, 4), (self.cancel_orders, 1),
            (self.dead_man, 3), (self.transfer, 3), (self.key, 1), (self.account, 2), (self.market, 3),
            (self.exchange, 1),
        )  # fmt: skip
        made, weights = [kind for kind, _ in kinds], [weight for _, weight in kinds]
        for _ in range(count):
            self.number += 1
            yield self.chance.choices(made, weights)[0]()

    def order(self) -> PlaceOrder:
        """An order of any type that the edge would let pass."""
        chance = self.chance
        kind = chance.choices(list(OrderType), (12, 2, 1, 2, 1, 2, 2))[0]
        return self._order(kind, chance.choice((Side.BUY, Side.SELL)), chance.choice(SYMBOLS), self._account())

    def pair(self) -> PlacePair:
        """A limit order and a stop of one side."""
        chance = self.chance
        side, symbol, account = chance.choice((Side.BUY, Side.SELL)), chance.choice(SYMBOLS), self._account()
        lots = chance.randint(1, 40)
        away = -1 if side is Side.BUY else 1
        first = self._order(OrderType.LIMIT, side, symbol, account, lots, MIDDLE_TICKS + away * chance.randint(1, 20))
        self.number += 1
        kind = chance.choice((*STOPS, OrderType.TRAILING_STOP))
        second = self._order(kind, side, symbol, account, lots, stop=MIDDLE_TICKS - away * chance.randint(1, 20))
        return PlacePair(_plain(first), _plain(second))

    def cancel(self) -> CancelOrder:
        """A cancel, mostly of an order of the account."""
        account, order_id = self._known()
        return CancelOrder(f"x-{self.number}", account, order_id)

    def amend(self) -> AmendOrder:
        """An amend in whole lots and ticks of the market or in parts of them."""
        chance = self.chance
        account, order_id = self._known()
        quantity = chance.choice((None, chance.randint(1, 40) * 10**14, chance.randint(1, 40) * 10**13))
        price = chance.choice((None, (MIDDLE_TICKS + chance.randint(-SPREAD_TICKS, SPREAD_TICKS)) * 10**16))
        return AmendOrder(f"x-{self.number}", account, order_id, quantity, price)

    def cancel_orders(self) -> CancelOrders:
        """A cancel of many."""
        chance = self.chance
        return CancelOrders(
            f"x-{self.number}", self._account(), chance.choice((None, *SYMBOLS)), chance.choice((None, *Side))
        )

    def dead_man(self) -> CancelAllAfter:
        """A dead man's switch set or disarmed."""
        return CancelAllAfter(f"x-{self.number}", self._account(), self.chance.choice((0, 1, 5, 1000)))

    def transfer(self) -> Transfer:
        """Funds in or out."""
        kind = self.chance.choice(("deposit", "withdrawal"))
        return Transfer(kind, self._account(), "USD", self.chance.randint(1, 10**12), f"r-{self.number}")

    def key(self) -> Command:
        """A key made or deleted."""
        if self.chance.random() < 0.5:
            return DeleteApiKey(f"x-{self.number}", f"ex_{self.chance.randrange(self.number)}")
        return CreateApiKey("", self._account(), f"ex_{self.number}", "sealed", ("read", "trade"), ("10.0.0.0/8",))

    def account(self) -> Command:
        """An account made, changed, or killed."""
        kind = self.chance.random()
        if kind < 0.1:
            return CreateAccount(f"x-{self.number}", f"acc_{self.number}", "somebody")
        if kind < 0.3:
            return KillSwitch(f"x-{self.number}", self._account())
        status = self.chance.choices(("active", "cancel_only", "suspended"), (8, 1, 1))[0]
        return ChangeAccount(f"x-{self.number}", self._account(), status)

    def market(self) -> ChangeMarket:
        """Another status of a market, or other settings."""
        chance = self.chance
        if chance.random() < 0.6:
            status = chance.choices(list(MarketStatus), (8, 1, 1, 4))[0]
            return ChangeMarket(f"x-{self.number}", chance.choice(SYMBOLS), status)
        return ChangeMarket(f"x-{self.number}", chance.choice(SYMBOLS), **chance.choice(_SETTINGS))

    def exchange(self) -> Command:
        """The exchange halted, or, more often, resumed."""
        halts = self.chance.random() < 0.3
        return HaltExchange(f"x-{self.number}") if halts else ResumeExchange(f"x-{self.number}")

    def _order(
        self, kind: OrderType, side: Side, symbol: str, account: str, lots: int | None = None,
        price: int | None = None, stop: int | None = None,
    ) -> PlaceOrder:  # fmt: skip
        chance = self.chance
        near = MIDDLE_TICKS + chance.randint(-SPREAD_TICKS, SPREAD_TICKS)
        is_limit = kind in LIMIT_TYPES
        force = self._force(kind)
        lots = lots or chance.randint(1, 40)
        by_quote = kind is OrderType.MARKET and side is Side.BUY and chance.random() < 0.4
        rests = is_limit and force in (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
        client_id = f"o-{self.number}"
        order_id = order_id_of(CELL, account, client_id)
        self.placed.append((account, order_id))
        return PlaceOrder(
            order_id, account, client_id, symbol, side, kind, None if by_quote else lots,
            (price or near) if is_limit else None, force,
            quote_quantity=chance.randint(1, 40) * MIDDLE_TICKS * 100_000 if by_quote else None,
            post_only=rests and kind is OrderType.LIMIT and chance.random() < 0.1,
            self_trade_prevention=chance.choice(list(SelfTradePrevention)),
            stop_price_ticks=(stop or near) if kind in STOPS + TAKES else None,
            trailing_delta_ticks=chance.randint(1, 10) if kind is OrderType.TRAILING_STOP else None,
            display_lots=chance.randint(1, lots) if rests and chance.random() < 0.2 else None,
            expire_time=self.now() + chance.choice((1, 1_000, 10**5)) if force is TimeInForce.GTD else None,
        )  # fmt: skip

    def _force(self, kind: OrderType) -> TimeInForce:
        if kind is OrderType.MARKET:
            return self.chance.choice((TimeInForce.IOC, TimeInForce.FOK))
        return self.chance.choices(list(TimeInForce), (10, 2, 2, 2, 1))[0]

    def _account(self) -> str:
        return seed.account_id_of(self.chance.choice(seed.TRADERS))

    def _known(self) -> tuple[str, str]:
        if not self.placed or self.chance.random() < 0.05:
            return self._account(), "1-never"
        account, order_id = self.placed[-1 - int(self.chance.expovariate(0.05)) % len(self.placed)]
        return (account if self.chance.random() < 0.95 else self._account()), order_id


_SETTINGS: tuple[dict[str, Any], ...] = (
    {"price_band": 3_000_000},
    {"clears_price_band": True},
    {"reference": ReferencePolicy.MOVING},
    {"reference": ReferencePolicy.LAST_AUCTION},
    {"volatility_auction_ms": 2},
    {"maker_fee_rate": -500_000},
    {"maker_fee_rate": 1_000_000},
    {"fee_tiers": (FeeTier(10**10, -100_000, 1_000_000), FeeTier(10**11, -300_000, 700_000))},
    {"fee_tiers": ()},
    {"min_notional": 10**8},
    {"max_quantity": 10**9},
)


def _plain(order: PlaceOrder) -> PlaceOrder:
    """A leg of a pair: without what pairs do not take."""
    fields = {name: getattr(order, name) for name in order.__struct_fields__}
    return PlaceOrder(
        **{**fields, "time_in_force": TimeInForce.GTC, "post_only": False, "display_lots": None, "expire_time": None}
    )
