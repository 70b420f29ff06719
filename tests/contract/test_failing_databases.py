"""The matching service on two databases: the primary is killed under load, and nothing acknowledged is lost."""

import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from matching_service.migrations import migrate
from tests.replicated import Databases, databases
from tests.servers import valkey
from tests.trading import SEED, Trader, outage, problems, trading, until_answered

KILLS = 3
MANY_KILLS = 30
OUTAGE_S = 5.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("pair") / "state") as running:
        with closing(running.connected()) as connection:
            migrate(connection)
        yield running


def killed_primaries(pair: Databases, kills: int) -> tuple[list[Trader], list[float]]:
    """Kill the primary so often under load, each time when there is a standby again; return the outages in seconds."""
    chance, outages, pause = random.Random(SEED), [], threading.Event()
    with trading(pair.url, valkey()) as traders:
        for _ in range(kills):
            pair.until_fit()
            until_answered(traders, time.monotonic())
            pause.wait(chance.random() * 0.1)
            killed_at = time.monotonic()
            pair.send_alone(pair.roles.primary, signal.SIGKILL)
            until_answered(traders, killed_at + 0.5)
            outages.append(outage(traders, killed_at))
    return traders, outages


def test_nothing_acknowledged_is_lost_when_the_primary_is_killed(pair: Databases) -> None:
    traders, outages = killed_primaries(pair, KILLS)

    assert problems(pair.url, traders) == []
    assert max(outages) < OUTAGE_S


@pytest.mark.long
def test_nothing_acknowledged_is_lost_by_thirty_kills_of_the_primary(
    pair: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    traders, outages = killed_primaries(pair, MANY_KILLS)
    acknowledged = sum(len(trader.acknowledged) for trader in traders)
    doubts = sum(trader.doubts for trader in traders)
    ordered = sorted(outages)

    with capsys.disabled():
        sys.stdout.write(
            f"\n{MANY_KILLS} kills of the primary: {acknowledged} acknowledged, {doubts} unknown and then resolved,"
            f" outage p50 {ordered[MANY_KILLS // 2]:.2f} s, p99 and max {ordered[-1]:.2f} s\n"
        )
    assert problems(pair.url, traders) == []
    assert ordered[-1] < OUTAGE_S
