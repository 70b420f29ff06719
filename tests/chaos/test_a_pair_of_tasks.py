"""A whole system with a task that stands by, its leader ended again and again under load over HTTP."""

import random
import signal
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import psycopg2
import pytest

from client import credentials
from tests.chaos.checks import problems, reader_url
from tests.chaos.recording import Trader, trading
from tests.checkers.history import Kind
from tests.e2e.system import System, started
from tests.until import until

SEED = 4
PATIENCE_S = 30.0
CREATED = 201
NAMES = ("alice", "bob", "maker")


def leader_of(system: System) -> str:
    """Return the name of the process that holds the lease, "" while none of them does."""
    with psycopg2.connect(reader_url(system)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT holder FROM lease WHERE expires > clock_timestamp() AND endpoint <> ''")
        pids = [int(holder.split("-")[-2]) for (holder,) in cursor]
    connection.close()
    return next((name for name, pid in system.pids().items() if pid in pids), "")


def other_leads(system: System, former: str) -> None:
    """Wait until the other task leads, and the former one stands by again."""
    assert until(lambda: leader_of(system) not in ("", former), PATIENCE_S), "nobody took over"
    system.line(f"{former} serves again", PATIENCE_S)


def outage_ms(traders: list[Trader], since_ns: int) -> int:
    """Return the longest time without an order being executed that went on at a moment, or began right after it."""
    calls = [call for trader in traders for call in trader.calls]
    ended = sorted(call.ended for call in calls if call.kind is Kind.PLACE and call.status == CREATED)
    gaps = [later - one for one, later in pairwise(ended) if later > since_ns and one < since_ns + 10**9]
    return max(gaps, default=0) // 10**6


@pytest.mark.parametrize(
    ("number", "count", "most_attempts"),
    [
        pytest.param(signal.SIGTERM, 20, 2, marks=pytest.mark.long, id="20 rolling restarts"),
        pytest.param(signal.SIGKILL, 100, 100, marks=pytest.mark.long, id="100 kills"),
    ],
)
def test_whoever_ends_the_leader_nothing_is_lost_and_the_other_serves(
    tmp_path: Path, number: signal.Signals, count: int, most_attempts: int
) -> None:
    chance, outages = random.Random(SEED), []
    with started(tmp_path / "state", more={"STANDBYS": "1"}) as system:
        given = credentials.read(system.credentials_path)
        with trading(given, SEED, NAMES) as traders:
            for _ in range(count):
                for trader in traders:
                    assert trader.wait_for(chance.randint(5, 15), PATIENCE_S), "orders do not go on"
                former, began = leader_of(system), time.monotonic_ns()
                system.kill(former, number)
                other_leads(system, former)
                assert traders[0].wait_for(5, PATIENCE_S), "orders do not go on"
                outages.append(outage_ms(traders, began))
        calls = [call for trader in traders for call in trader.calls]

        print(f"{count} x {number.name}: {len(calls)} calls, outage ms p50 {median(outages)} max {max(outages)}")  # noqa: T201
        print(f"outages ms: {sorted(outages)}; most attempts {max(trader.most_attempts for trader in traders)}")  # noqa: T201
        assert problems(system, calls) == []
        assert max(trader.most_attempts for trader in traders) <= most_attempts
        assert sorted(outages)[int(len(outages) * 0.99)] < 3000
