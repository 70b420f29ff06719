"""The matching service killed at random under load, with real processes: nothing acknowledged is lost or doubled."""

import random
from pathlib import Path

from client import credentials
from tests.chaos.checks import problems
from tests.chaos.recording import trading
from tests.e2e.system import started

KILLS = 20
SEED = 20_261_122
OUTAGE_S = 20.0


def test_nothing_acknowledged_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with started(tmp_path / "state") as system:
        given = credentials.read(system.credentials_path)
        with trading(given, SEED, ("alice", "bob", "maker")) as traders:
            for _ in range(KILLS):
                for trader in traders:
                    assert trader.wait_for(chance.randint(1, 15), OUTAGE_S), "no answer in time after a kill"
                system.killed("matching_service")
        calls = [call for trader in traders for call in trader.calls]

        assert problems(system, calls) == []
        assert sum(call.is_accepted for call in calls) > 10 * KILLS
