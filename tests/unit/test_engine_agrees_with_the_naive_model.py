"""The engine against the naive model: every command with every option, in every state of a market."""

import pytest

from tests.naive_machine import Machine

COMMANDS_A_RUN = 500
RUNS_A_TEST = 10
SEEDS = 200
LONG_SEEDS = 2000


@pytest.mark.parametrize("first_seed", range(0, SEEDS, RUNS_A_TEST))
def test_events_and_state_equal_the_naive_model_on_random_commands(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + RUNS_A_TEST):
        Machine(seed).run(COMMANDS_A_RUN)


@pytest.mark.long
@pytest.mark.parametrize("first_seed", range(SEEDS, SEEDS + LONG_SEEDS, RUNS_A_TEST))
def test_events_and_state_equal_the_naive_model_on_a_million_random_commands(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + RUNS_A_TEST):
        Machine(seed).run(COMMANDS_A_RUN)
