"""The engine against the naive model, on 100,000 random commands."""

import random
from collections import defaultdict
from collections.abc import Iterator

import pytest

from exchange.commands import CancelOrder, CancelOrders, ChangeMarket, Command, Transfer
from exchange.markets import MarketStatus
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, TIME, Desk, market, rows
from tests.naive import Naive

ACCOUNTS = ("alice", "bob", "carol")
COMMANDS_A_RUN = 500
RUNS_A_TEST = 10
SETTINGS = (
    {"min_notional": 300, "max_quantity": 30, "maker_fee_rate": 1_000_000, "taker_fee_rate": 2_000_000},
    {"min_notional": 0, "max_quantity": 1000, "maker_fee_rate": 0, "taker_fee_rate": 333_333_333},
)


def random_order(chance: random.Random, number: int) -> PlaceOrder:
    side = chance.choice((Side.BUY, Side.SELL))
    account = chance.choice(ACCOUNTS)
    lots = chance.choice((1, 2, 3, 5, 8, 13, 29, 31))
    order_id = f"1-{number}"
    if chance.random() < 0.2:
        tif = chance.choice((TimeInForce.IOC, TimeInForce.FOK))
        if side is Side.BUY and chance.random() < 0.6:
            quote = chance.randint(200, 4000)
            wish = (OrderType.MARKET, None, None, tif, quote)
            return PlaceOrder(order_id, account, order_id, SYMBOL, side, *wish)
        return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.MARKET, lots, None, tif)
    tif = chance.choices((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK), (8, 1, 1))[0]
    price = 100 + (chance.randint(-8, 3) if side is Side.BUY else chance.randint(-3, 8))
    post_only = tif is TimeInForce.GTC and chance.random() < 0.15
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.LIMIT, lots, price, tif, post_only=post_only)


def random_commands(chance: random.Random) -> Iterator[Command]:
    for number in range(COMMANDS_A_RUN):
        kind, account = chance.random(), chance.choice(ACCOUNTS)
        if kind < 0.64:
            yield random_order(chance, number)
        elif kind < 0.90:
            recent = chance.randrange(max(0, number - 30), number + 1)
            yield CancelOrder(f"x-{number}", account, f"1-{recent}")
        elif kind < 0.92:
            side = chance.choice((None, Side.BUY, Side.SELL))
            yield CancelOrders(f"x-{number}", account, chance.choice((None, SYMBOL)), side)
        elif kind < 0.97:
            amount = chance.randint(1, 6000)
            yield Transfer(chance.choice(("deposit", "withdrawal")), account, "USD", amount, f"t-{number}")
        else:
            status = chance.choices((MarketStatus.OPEN, MarketStatus.CANCEL_ONLY, MarketStatus.HALTED), (8, 1, 1))[0]
            yield ChangeMarket(f"x-{number}", SYMBOL, status)


def assert_same_state(engine: Engine, naive: Naive) -> None:
    snapshot = engine.snapshot()
    balances = {(b.account_id, b.asset): [b.available, b.held] for b in snapshot.balances}
    assert balances == {key: value for key, value in naive.balances.items() if any(value)}
    orders = [
        (record.placed, record.status, record.filled_lots, record.remaining_lots, record.filled_quote)
        for record, _ in snapshot.orders
    ]
    assert orders == [(o.placed, o.status, o.filled, o.left, o.filled_quote) for o in naive.resting()]
    sums: dict[str, int] = defaultdict(int)
    for (_, asset), (available, held) in balances.items():
        sums[asset] += available + held
    assert set(sums.values()) <= {0}
    bids = [o.placed.price_ticks or 0 for o in naive.resting("buy")]
    asks = [o.placed.price_ticks or 0 for o in naive.resting("sell")]
    assert not bids or not asks or bids[0] < asks[0]


def assert_same_orders(engine: Engine, naive: Naive) -> None:
    for order in engine.take_changes().orders:
        record, expected = order.record(), naive.orders[order.placed.order_id]
        assert (record.status, record.filled_lots, record.remaining_lots) == (
            expected.status,
            expected.filled,
            expected.left,
        )
        assert (record.filled_quote, record.fee_base + record.fee_quote, record.reason, record.first_sequence) == (
            expected.filled_quote,
            sum(expected.fees.values()),
            expected.reason,
            expected.entered,
        )


def run(seed: int) -> None:
    chance = random.Random(seed)
    settings = SETTINGS[seed % len(SETTINGS)]
    desk = Desk(" ".join(ACCOUNTS), funds=10_000, **settings)
    engine = desk.engine
    naive = Naive(market(**settings), engine.sequence)
    for balance in engine.snapshot().balances:
        naive.balances[balance.account_id, balance.asset] = [balance.available, balance.held]
    for number, command in enumerate(random_commands(chance)):
        expected = naive.apply(command)

        assert engine.examine(command) is None
        code = engine.check(command) if isinstance(command, PlaceOrder) else None
        events = engine.apply(command, TIME + number)

        assert rows(events) == expected, (seed, number, command)
        assert code == (expected[0][4] if expected and expected[0][0] == "OrderRejected" else None)
        if number % 100 == 99:
            assert_same_orders(engine, naive)
            assert_same_state(engine, naive)
            again = Engine.restore(engine.snapshot())
            assert dict(again.state_records()) == dict(engine.state_records())
            engine = again
    assert_same_state(engine, naive)


@pytest.mark.parametrize("first_seed", range(0, 200, RUNS_A_TEST))
def test_events_statuses_balances_and_restored_state_equal_the_naive_model_on_random_commands(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + RUNS_A_TEST):
        run(seed)
