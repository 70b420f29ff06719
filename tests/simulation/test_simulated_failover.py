"""The simulator in short: seeds without a violation, the same seed the same run, and broken promises that are found."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from matching_service.journal import JournalRow
from tests.simulation.database import Database
from tests.simulation.node import FAILPOINTS
from tests.simulation.run import run

SEEDS = range(150)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_no_seed_has_a_violation_and_every_failpoint_kills_a_process() -> None:
    outcomes = [run(seed) for seed in SEEDS]

    assert [(outcome.seed, outcome.problems) for outcome in outcomes if outcome.problems] == []
    assert {name for outcome in outcomes for name in outcome.failpoints} == set(FAILPOINTS)
    assert sum(outcome.counts.get("leads", 0) for outcome in outcomes) > 2 * len(SEEDS)


def test_the_same_seed_is_the_same_run_bit_for_bit() -> None:
    first, again, other = run(7), run(7), run(8)

    assert first == again
    assert first.digest != other.digest


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    script = "from tests.simulation.run import run; print(run(7).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": "layers/exchange:."}

    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True, env=environment
    )

    assert told.stdout.split() == [run(7).digest]


def forgetful(database: Database) -> None:
    """Let the database answer that it has committed, every tenth time without having done so."""
    commit, times = database.commits, iter(range(1_000_000))

    def forgets(row: JournalRow) -> None:
        if next(times) % 10 != 9:
            commit(row)

    database.commits = forgets


def fenceless(database: Database) -> None:
    """Let everyone write who once led."""
    database.checks_fence = False


@pytest.mark.parametrize("worse", [forgetful, fenceless])
def test_a_database_that_breaks_its_promise_is_found_out(worse: object) -> None:
    assert callable(worse)

    assert any(run(seed, worse).problems for seed in range(40))
