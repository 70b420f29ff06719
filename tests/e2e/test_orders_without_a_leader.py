import random
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from client import credentials
from exchange.orders import order_id_of
from tests.chaos.checks import problems
from tests.chaos.recording import CELL, Recorder, an_order, recorded
from tests.checkers.history import Call, Kind
from tests.e2e.system import System, started
from tests.until import until

MOST_S = 1.5
ORDERS = 60


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("leaderless")) as made:
        yield made


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_every_order_is_answered_soon_and_executed_once(system: System, fault: signal.Signals) -> None:
    account = credentials.read(system.credentials_path).account("alice")
    chance = random.Random(fault)
    calls: list[Call] = []
    with Recorder(system.base_url, account.key) as client:
        client.balances()  # a connection, a warm environment
        system.kill("matching_service", fault)
        for number in range(ORDERS):
            order = an_order(chance, f"{fault.name}-{number}")
            order_id = order_id_of(CELL, account.account_id, order["client_order_id"])
            calls.append(recorded(client, account, Kind.PLACE, partial(client.place, order), order_id))
        queued = [call for call in calls if call.status == 202]
        if fault is signal.SIGSTOP:
            system.kill("matching_service", signal.SIGCONT)

        def waiting() -> list[str]:
            orders = [client.order(call.order_id)["order"] for call in queued]
            return [order["order_id"] for order in orders if order["status"] == "queued"]

        assert until(lambda: not waiting(), 30.0)
    assert len(queued) > 0
    assert {call.status for call in calls} <= {201, 202, 422}
    assert max(call.ended - call.began for call in calls) < MOST_S * 1e9
    assert problems(system, calls) == []
