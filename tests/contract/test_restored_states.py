"""A state written to the tables, batch by batch, and loaded again is the live one: for commands of every kind."""

import random

import pytest

from exchange.commands import CancelOrder
from matching_service import replica, seed
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.random_commands import Commands
from tests.recorder import Recorder
from tests.servers import postgres

BATCHES = 60


@pytest.mark.parametrize("number", range(3))
def test_a_state_loaded_from_the_tables_is_the_live_one_and_goes_on_like_it(number: int) -> None:
    run(number)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_200, 10))
def test_two_hundred_more_states_loaded_from_the_tables_are_the_live_ones(first: int) -> None:
    for number in range(first, first + 10):
        run(number)


def run(number: int) -> None:
    """Follow one stream: load now and then, compare, go on with what was loaded, and check all of it at the end."""
    chance = random.Random(number)
    recorder = Recorder(postgres())
    recorder.commit(*seed.commands(1, "local"))
    stream = Commands(chance, lambda: recorder.time)
    for batch in range(BATCHES):
        recorder.time += chance.choice((1, 1, 1_000, 10**6, 40 * 10**6, 86_400 * 10**6))
        recorder.commit(CancelOrder(f"batch-{batch}", "acc_bob", "1-never"), *stream.take(chance.randint(1, 40)))
        if chance.random() < 0.2:
            live = dict(recorder.engine.state_records())
            loaded = replica.load(recorder.connection, 1)

            assert dict(loaded.engine.state_records()) == live
            assert loaded.state_hash.digest() == recorder.hash.digest()
            recorder.reload()

    assert check_all(recorder.url) + check_replay(recorder.url) == []
    recorder.connection.close()
