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


def placed(system: System, client: Recorder, name: str, count: int) -> list[Call]:
    """Place orders one after the other, and return what came of each."""
    account = credentials.read(system.credentials_path).account("alice")
    chance = random.Random(name)
    calls = []
    for number in range(count):
        order = an_order(chance, f"{name}-{number}")
        order_id = order_id_of(CELL, account.account_id, order["client_order_id"])
        calls.append(recorded(client, account, Kind.PLACE, partial(client.place, order), order_id))
    return calls


def waiting(client: Recorder, calls: list[Call]) -> list[str]:
    """The ids of those orders that still wait."""
    orders = [client.order(call.order_id)["order"] for call in calls]
    return [order["order_id"] for order in orders if order["status"] == "queued"]


@pytest.fixture
def client(system: System) -> Iterator[Recorder]:
    with Recorder(system.base_url, credentials.read(system.credentials_path).account("alice").key) as made:
        made.balances()  # a connection, and a warm environment
        yield made


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_every_order_is_answered_soon_and_executed_once(
    system: System, client: Recorder, fault: signal.Signals
) -> None:
    system.kill("matching_service", fault)

    calls = placed(system, client, fault.name, ORDERS)

    queued = [call for call in calls if call.status == 202]
    if fault is signal.SIGSTOP:
        system.kill("matching_service", signal.SIGCONT)
    assert until(lambda: not waiting(client, queued), 30.0)
    assert len(queued) > 0
    assert {call.status for call in calls} <= {201, 202, 422}
    assert max(call.ended - call.began for call in calls) < MOST_S * 1e9
    assert problems(system, calls) == []


def test_what_waits_outlives_the_stream_that_it_waits_in(system: System, client: Recorder) -> None:
    system.kill("matching_service", signal.SIGSTOP)
    calls = placed(system, client, "outlives", 10)
    assert {call.status for call in calls} == {202}

    system.killed("ministack")
    system.kill("matching_service", signal.SIGCONT)

    assert until(lambda: not waiting(client, calls), 30.0)
    assert problems(system, calls) == []
