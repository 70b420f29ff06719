"""The mixed workload, the same in every run: of ten commands five rest, four cancel, one trades; it sends nothing.

Four orders of ten rest away from the touch and are canceled oldest first, so that every cancel finds its order; the
fifth sells at the touch, and the trade is the buy order that fills it. Sellers, buyers and those who quote differ.
"""

import random
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from exchange.commands import CancelOrder, Command, CreateAccount, CreateAsset, CreateMarket, Transfer
from exchange.markets import Market, MarketStatus
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce, order_id_of

CELL = 1
QUOTING_ACCOUNTS = 16
PAIRS = 4
DECIMALS = 8
DEPOSIT = 10**17
"""Units of each asset for each account: far from what is spent, and from the bound of 10^18."""
RESTING = 1_500
"""Orders that rest before the first cancel, about 31 an account and market."""
NEAREST_TICKS, FURTHEST_TICKS = 10, 200
CYCLE = "rcrcrcrcsb"
"""r rests, c cancels, s sells at the touch, b buys it."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A market with the price at which it trades and the size of each order."""

    symbol: str
    price_ticks: int
    quantity_lots: int


TOUCHES = (Touch("BTC-USD", 6_000_000, 100), Touch("ETH-USD", 300_000, 200), Touch("SOL-USD", 150_000, 40))


class Workload:
    """Commands of one run; ids are new for each, all else follows from `seed`."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._run = uuid.uuid4().hex[:10]
        self._number = 0
        self._resting: deque[tuple[str, str]] = deque()
        self._quoting = [f"{self._run}-quoting-{number}" for number in range(QUOTING_ACCOUNTS)]
        self._sellers = [f"{self._run}-seller-{number}" for number in range(PAIRS)]
        self._buyers = [f"{self._run}-buyer-{number}" for number in range(PAIRS)]

    def accounts(self) -> Iterator[Command]:
        """Yield what creates and funds the accounts; assets are there already."""
        for account_id in (*self._quoting, *self._sellers, *self._buyers):
            yield CreateAccount(f"{self._run}-{account_id}", account_id, "bench")
            for asset in ("USD", "BTC", "ETH", "SOL"):
                yield Transfer("deposit", account_id, asset, DEPOSIT, f"bench-{asset}")

    def depth(self) -> Iterator[Command]:
        """Yield the orders that rest before the first cancel."""
        for _ in range(RESTING):
            yield self._rest()

    def mixed(self, commands: int) -> Iterator[Command]:
        """Yield the workload itself."""
        for place in range(commands):
            kind = CYCLE[place % len(CYCLE)]
            turn = place // len(CYCLE)
            if kind == "r":
                yield self._rest()
            elif kind == "c":
                account_id, order_id = self._resting.popleft()
                yield CancelOrder(f"{self._run}-{place}", account_id, order_id)
            else:
                touch = TOUCHES[turn % len(TOUCHES)]
                accounts, side = (self._sellers, Side.SELL) if kind == "s" else (self._buyers, Side.BUY)
                yield self._order(accounts[turn % PAIRS], touch, side, touch.price_ticks)

    def _rest(self) -> PlaceOrder:
        touch = self._chance.choice(TOUCHES)
        side = self._chance.choice((Side.BUY, Side.SELL))
        distance = self._chance.randint(NEAREST_TICKS, FURTHEST_TICKS)
        price_ticks = touch.price_ticks + (distance if side is Side.SELL else -distance)
        order = self._order(self._chance.choice(self._quoting), touch, side, price_ticks)
        self._resting.append((order.account_id, order.order_id))
        return order

    def _order(self, account_id: str, touch: Touch, side: Side, price_ticks: int) -> PlaceOrder:
        self._number += 1
        client_order_id = f"{self._run}-{self._number}"
        return PlaceOrder(
            order_id=order_id_of(CELL, account_id, client_order_id),
            account_id=account_id,
            client_order_id=client_order_id,
            symbol=touch.symbol,
            side=side,
            type=OrderType.LIMIT,
            quantity_lots=touch.quantity_lots,
            price_ticks=price_ticks,
            time_in_force=TimeInForce.GTC,
        )


def listings() -> Iterator[Command]:
    """Yield what creates the seeded assets and markets, where there are none yet."""
    for asset in ("USD", "BTC", "ETH", "SOL"):
        yield CreateAsset(asset, DECIMALS)
    for symbol, tick_size, lot_size in (
        ("BTC-USD", 10**16, 10**13),
        ("ETH-USD", 10**16, 10**14),
        ("SOL-USD", 10**15, 10**16),
    ):
        yield CreateMarket(
            Market(
                symbol=symbol,
                base=symbol.partition("-")[0],
                quote="USD",
                status=MarketStatus.OPEN,
                tick_size=tick_size,
                lot_size=lot_size,
                min_notional=10**8,
                max_quantity=10**9,
                maker_fee_rate=10**6,
                taker_fee_rate=2 * 10**6,
                price_band=None,
                cell=CELL,
                home_region="local",
                base_decimals=DECIMALS,
                quote_decimals=DECIMALS,
            )
        )
