"""The full hash: kept up to date it is that of the state made from nothing, whatever was changed or forgotten."""

import random
from collections.abc import Iterator

import pytest

from exchange.commands import (
    CancelOrder,
    ChangeMarket,
    Command,
    CreateAccount,
    CreateApiKey,
    DeleteApiKey,
    Journaled,
    Transfer,
)
from exchange.markets import MarketStatus
from exchange.orders import TimeInForce
from matching_service.engine import Engine
from matching_service.memory import MAX_RECENT_IDS, REQUEST_WINDOW_US
from matching_service.state_hash import is_due
from tests.checkers.hashes import full_hash
from tests.engines import SYMBOL, TIME, Desk, buy, sell


class Hashed:
    """An engine whose hash follows its batches."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        engine.take_changes()
        self.hash = engine.state_hash()

    def batch(self, time: int, *commands: Command) -> None:
        journaled = []
        for command in commands:
            if self.engine.examine(command) is None:
                self.engine.apply(command, time)
                journaled.append(Journaled(self.engine.sequence, time, command))
        if journaled:
            self.hash.update(journaled, self.engine.take_changes())


def from_nothing(engine: Engine) -> bytes:
    """The hash by its definition."""
    return full_hash(engine.state_records())


def random_commands(chance: random.Random, count: int) -> Iterator[Command]:
    for number in range(count):
        account = chance.choice(("alice", "bob", "carol"))
        kind = chance.random()
        if kind < 0.3:
            yield CancelOrder(f"x-{number}", account, f"o-{chance.randrange(number + 1)}")
        elif kind < 0.35:
            yield Transfer(
                chance.choice(("deposit", "withdrawal")), account, "USD", chance.randint(1, 10**6), f"{number}"
            )
        elif kind < 0.38:
            yield CreateApiKey("", account, f"ex_{number}", "sealed", ("read",), ())
        elif kind < 0.4:
            yield DeleteApiKey(f"x-{number}", f"ex_{chance.randrange(number + 1)}")
        elif kind < 0.42:
            yield ChangeMarket(f"x-{number}", SYMBOL, status=chance.choice((MarketStatus.OPEN, MarketStatus.HALTED)))
        elif kind < 0.44:
            yield CreateAccount(f"x-{number}", f"account-{number}", "name")
        else:
            make = chance.choice((buy, sell))
            tif = chance.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK))
            yield make(f"o-{number}", account, chance.randint(1, 9), 100 + chance.randint(-6, 6), tif)


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_kept_up_to_date_is_that_of_the_state_made_from_nothing(seed: int) -> None:
    chance = random.Random(seed)
    hashed = Hashed(Desk(maker_fee_rate=1_000_000, taker_fee_rate=2_000_000).engine)
    commands, time = list(random_commands(chance, 2000)), TIME
    while commands:
        size = chance.randint(1, 60)
        time += chance.choice((0, 1, 1000, REQUEST_WINDOW_US // 3))
        hashed.batch(time, *commands[:size])
        del commands[:size]

        assert hashed.hash.digest() == from_nothing(hashed.engine)

    assert hashed.engine.state_hash().digest() == hashed.hash.digest()
    assert Engine.restore(hashed.engine.snapshot()).state_hash().digest() == hashed.hash.digest()


def test_the_id_of_a_request_leaves_the_sum_when_it_is_forgotten() -> None:
    hashed = Hashed(Desk().engine)
    hashed.batch(TIME + 1, CancelOrder("x-1", "alice", "none"))
    hashed.batch(TIME + 1 + REQUEST_WINDOW_US, CancelOrder("x-2", "alice", "none"))
    assert hashed.hash.digest() == from_nothing(hashed.engine)

    hashed.batch(TIME + 2 + REQUEST_WINDOW_US, CancelOrder("x-3", "alice", "none"))

    assert hashed.hash.digest() == from_nothing(hashed.engine)
    assert "request_id/x-1" not in dict(hashed.engine.state_records())


def test_a_request_id_used_again_after_it_was_forgotten_counts_once() -> None:
    hashed = Hashed(Desk().engine)
    hashed.batch(TIME + 1, CancelOrder("x-1", "alice", "none"), CancelOrder("x-2", "alice", "none"))
    hashed.batch(TIME + 2 + REQUEST_WINDOW_US, buy("o-1", "alice", 1, 100))
    hashed.batch(TIME + 3 + REQUEST_WINDOW_US, CancelOrder("x-1", "alice", "none"))
    hashed.batch(TIME + 4 + REQUEST_WINDOW_US, CancelOrder("x-3", "alice", "none"))

    assert hashed.hash.digest() == from_nothing(hashed.engine)
    assert [key for key, _ in hashed.engine.state_records() if key.startswith("request_id/x")] == [
        "request_id/x-1",
        "request_id/x-3",
    ]


def test_the_ids_of_orders_leave_the_sum_when_they_are_forgotten() -> None:
    hashed = Hashed(Desk().engine)
    for start in range(0, MAX_RECENT_IDS + 1500, 500):
        hashed.batch(TIME, *(buy(f"o-{start + n}", "alice", 1, 90, TimeInForce.IOC) for n in range(500)))

    assert hashed.hash.digest() == from_nothing(hashed.engine)
    assert "recent_id/o-1499" not in dict(hashed.engine.state_records())


def test_the_hash_is_due_with_the_batch_that_holds_each_hundred_thousandth_command() -> None:
    assert not is_due(99_900, 99_999)
    assert is_due(99_900, 100_000)
    assert is_due(100_000, 100_000)
    assert not is_due(100_001, 100_100)
    assert is_due(199_950, 200_050)


def test_two_states_that_differ_in_one_balance_differ_in_their_hashes() -> None:
    ours, theirs = Desk().engine, Desk().engine
    assert ours.state_hash().digest() == theirs.state_hash().digest()

    theirs.apply(Transfer("deposit", "alice", "USD", 1, "r"), TIME)
    ours.apply(Transfer("deposit", "alice", "USD", 2, "r"), TIME)

    assert ours.state_hash().digest() != theirs.state_hash().digest()
