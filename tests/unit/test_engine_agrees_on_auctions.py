"""The engine against the naive model where markets change their state, prices leave bands and accounts are stopped."""

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.commands import (
    AdvanceTime,
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    ChangeMarket,
    Command,
    HaltExchange,
    Journaled,
    KillSwitch,
    ResumeExchange,
)
from exchange.markets import FeeTier, MarketStatus, ReferencePolicy
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, TIME, Desk, market, rows
from tests.naive_auctions import NaiveExchange
from tests.naive_tiers import DAY

ACCOUNTS = ("alice", "bob", "carol")
COMMANDS_A_RUN = 300
RUNS_A_TEST = 10
SETTINGS: tuple[dict[str, Any], ...] = (
    {"price_band": 30_000_000, "volatility_auction_ms": 50, "maker_fee_rate": 1_000_000, "taker_fee_rate": 2_000_000},
    {
        "price_band": 50_000_000,
        "reference": ReferencePolicy.LAST_AUCTION,
        "maker_fee_rate": -200_000_000,
        "taker_fee_rate": 333_333_333,
        "fee_tiers": (FeeTier(1000, -100_000_000, 100_000_000), FeeTier(3000, 0, 0)),
    },
    {"min_notional": 300, "max_quantity": 30, "fee_tiers": (FeeTier(0, 10_000_000, 20_000_000),)},
)


def random_order(chance: random.Random, number: int) -> PlaceOrder:
    side = chance.choice((Side.BUY, Side.SELL))
    account = chance.choice(ACCOUNTS)
    lots = chance.choice((1, 2, 3, 5, 8, 13, 29, 31))
    order_id = f"1-{number}"
    if chance.random() < 0.2:
        tif = chance.choice((TimeInForce.IOC, TimeInForce.FOK))
        if side is Side.BUY and chance.random() < 0.6:
            wish = (OrderType.MARKET, None, None, tif, chance.randint(200, 4000))
            return PlaceOrder(order_id, account, order_id, SYMBOL, side, *wish)
        return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.MARKET, lots, None, tif)
    tif = chance.choices((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK), (8, 1, 1))[0]
    price = 100 + (chance.randint(-8, 4) if side is Side.BUY else chance.randint(-4, 8))
    post_only = tif is TimeInForce.GTC and chance.random() < 0.1
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.LIMIT, lots, price, tif, post_only=post_only)


def random_change(chance: random.Random, number: int) -> ChangeMarket:
    kind = chance.random()
    if kind < 0.6:
        statuses = (MarketStatus.OPEN, MarketStatus.AUCTION, MarketStatus.HALTED, MarketStatus.CANCEL_ONLY)
        return ChangeMarket(f"x-{number}", SYMBOL, chance.choices(statuses, (6, 6, 1, 1))[0])
    if kind < 0.8:
        band = chance.choice((None, 10_000_000, 100_000_000))
        return ChangeMarket(f"x-{number}", SYMBOL, price_band=band, clears_price_band=band is None)
    if kind < 0.9:
        return ChangeMarket(f"x-{number}", SYMBOL, reference=chance.choice(tuple(ReferencePolicy)))
    tiers = chance.choice(((), (FeeTier(500, 0, 50_000_000),), (FeeTier(0, 1, 1), FeeTier(900, -1, 1))))
    return ChangeMarket(f"x-{number}", SYMBOL, chance.choice((None, MarketStatus.OPEN)), fee_tiers=tiers)


def random_safeguard(chance: random.Random, number: int) -> Command:
    account, name = chance.choice(ACCOUNTS), f"x-{number}"
    kind = chance.random()
    if kind < 0.5:
        return CancelAllAfter(name, account, chance.choice((0, 5, 50)))
    if kind < 0.8:
        status = chance.choices(("active", "cancel_only", "suspended"), (6, 1, 1))[0]
        return ChangeAccount(name, account, status)
    if kind < 0.85:
        return KillSwitch(name, account)
    return chance.choices((HaltExchange(name), ResumeExchange(name)), (1, 3))[0]


def random_command(chance: random.Random, number: int) -> Command:
    kind, account = chance.random(), chance.choice(ACCOUNTS)
    if kind < 0.66:
        return random_order(chance, number)
    if kind < 0.86:
        return CancelOrder(f"x-{number}", account, f"1-{chance.randrange(max(0, number - 30), number + 1)}")
    if kind < 0.88:
        side = chance.choice((None, Side.BUY, Side.SELL))
        return CancelOrders(f"x-{number}", account, chance.choice((None, SYMBOL)), side)
    if kind < 0.93:
        return random_change(chance, number)
    return random_safeguard(chance, number) if kind < 0.97 else AdvanceTime()


def timed_commands(chance: random.Random, engine: list[Engine]) -> Iterator[tuple[Command, int]]:
    """Commands with their times; as a leader does, time goes on first where a timer is due."""
    time = TIME
    for number in range(COMMANDS_A_RUN):
        time += chance.choices((0, 1000, 20_000, DAY // 2), (5, 20, 5, 1))[0]
        due = engine[0].next_timer()
        if due is not None and due <= time and chance.random() < 0.9:
            yield AdvanceTime(), time
        yield random_command(chance, number), time


def assert_same_state(engine: Engine, naive: NaiveExchange) -> None:
    snapshot = engine.snapshot()
    balances = {(b.account_id, b.asset): [b.available, b.held] for b in snapshot.balances}
    assert balances == {key: value for key, value in naive.balances.items() if any(value)}
    sums: dict[str, int] = defaultdict(int)
    for (_, asset), (available, held) in balances.items():
        sums[asset] += available + held
    assert set(sums.values()) <= {0}
    orders = [(r.placed.order_id, r.status, r.filled_lots, r.fee_base, r.fee_quote) for r, _ in snapshot.orders]
    fees = [(o.fees.get("BTC", 0), o.fees.get("USD", 0)) for o in naive.resting()]
    assert orders == [
        (o.placed.order_id, o.status, o.filled, *fee) for o, fee in zip(naive.resting(), fees, strict=True)
    ]
    assert {(v.account_id, v.day): v.quote for v in snapshot.fee_volumes} == naive.volumes
    if naive.market.status == "open":
        bids = [o.placed.price_ticks or 0 for o in naive.resting("buy")]
        asks = [o.placed.price_ticks or 0 for o in naive.resting("sell")]
        assert not bids or not asks or bids[0] < asks[0]


def run(seed: int) -> None:
    chance = random.Random(seed)
    settings = SETTINGS[seed % len(SETTINGS)]
    engine = [Desk(" ".join(ACCOUNTS), funds=10_000, **settings).engine]
    naive = NaiveExchange(market(**settings), engine[0].sequence, created=ACCOUNTS)
    for balance in engine[0].snapshot().balances:
        naive.balances[balance.account_id, balance.asset] = [balance.available, balance.held]
    kept = engine[0].state_hash()
    for number, (command, time) in enumerate(timed_commands(chance, engine)):
        expected = naive.at(command, time)

        assert engine[0].examine(command) is None
        events = engine[0].apply(command, time)

        assert rows(events) == expected, (seed, number, command)
        kept.update([Journaled(engine[0].sequence, time, command)], engine[0].take_changes())
        if number % 50 == 49:
            assert_same_state(engine[0], naive)
            again = Engine.restore(engine[0].snapshot())
            assert dict(again.state_records()) == dict(engine[0].state_records())
            assert again.next_timer() == engine[0].next_timer()
            assert kept.digest() == again.state_hash().digest()
            engine[0], kept = again, again.state_hash()
    assert_same_state(engine[0], naive)


@pytest.mark.parametrize("first_seed", range(0, 100, RUNS_A_TEST))
def test_events_balances_and_restored_state_equal_the_naive_model_in_every_state_of_a_market(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + RUNS_A_TEST):
        run(seed)
