"""Each process of the system killed under load, one after another: it comes back, and nothing acknowledged is lost."""

from collections.abc import Iterator

import pytest

from client import credentials
from tests.chaos.checks import problems
from tests.chaos.recording import trading
from tests.e2e.system import System, started

SEED = 7
OUTAGE_S = 30.0
PARTS = ("valkey", "postgres", "edge", "osmem", "event_sources", "ministack", "matching_service")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("chaos") / "state") as running:
        yield running


@pytest.mark.parametrize("part", PARTS)
def test_orders_go_on_after_a_part_was_killed(system: System, part: str) -> None:
    given = credentials.read(system.credentials_path)
    with trading(given, f"{SEED}-{part}", ("alice", "bob")) as traders:
        for trader in traders:
            assert trader.wait_for(10, OUTAGE_S), "no answers before the kill"
        system.kill(part)
        system.line(f"{part} serves again")
        for trader in traders:
            assert trader.wait_for(20, OUTAGE_S), "no answers after the kill"
    calls = [call for trader in traders for call in trader.calls]

    assert problems(system, calls) == []
