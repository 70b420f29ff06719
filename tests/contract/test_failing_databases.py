"""The matching service on two databases: the primary is killed under load, and nothing acknowledged is lost."""

import itertools
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2
import pytest

from exchange.errors import Rejected, Unavailable
from exchange.gateway_client import GatewayClient
from exchange.orders import FillRecord, Side
from exchange.stores.cache import Cache
from exchange.stores.database import Database
from exchange.stores.leaders import LeaderDirectory
from matching_service.database import rows
from matching_service.migrations import migrate
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.replicated import Databases, databases
from tests.servers import valkey
from tests.serving import CELL, SECRET, limit, seeded, serving, settings

KILLS = 3
MANY_KILLS = 30
SEED = 20_261_126
OUTAGE_S = 5.0
TRADERS = ("alice", "bob", "maker")
ATTEMPT_MS = 2_000
PATIENCE_S = 30.0


@dataclass(slots=True)
class Trader:
    """One who sends each order until it is answered, and notes when and with which fills."""

    client: GatewayClient
    account: str
    chance: random.Random
    stopping: threading.Event
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    doubts: int = 0
    unanswered: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Trade until told to stop."""
        number = 0
        while not self.stopping.is_set():
            number += 1
            self._place(f"{self.account}-{SEED}-{number}")

    def _place(self, client_order_id: str) -> None:
        side = self.chance.choice((Side.BUY, Side.SELL))
        at = 3_000_000 + self.chance.randint(-20, 20)
        order = limit(self.account, side, self.chance.randint(1, 99), at, client_order_id)
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            try:
                [answer] = self.client.submit([order])
            except (Unavailable, Rejected) as failure:
                self.doubts += isinstance(failure, Unavailable) and failure.execution == "unknown"
                self.stopping.wait(0.01)
                continue
            self.times.append(time.monotonic())
            self.acknowledged[order.order_id] = sorted(_trade_id(fill) for fill in answer.fills)
            return
        self.unanswered.append(order.order_id)


def _trade_id(fill: FillRecord) -> str:
    return fill.trade_id


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("pair") / "state") as running:
        with closing(running.connected()) as connection:
            migrate(connection)
        yield running


@contextmanager
def trading(pair: Databases) -> Iterator[list[Trader]]:
    """Run a service on the pair, and traders who find it as functions do; wait for their last answers."""
    given, stopping = settings(pair.url, valkey()), threading.Event()
    stores = [(Cache(given.redis_url), Database(given.database_url)) for _ in TRADERS]
    with serving(given) as first:
        seeded(first)
        clients = [GatewayClient(LeaderDirectory(*store, CELL), SECRET, ATTEMPT_MS) for store in stores]
        traders = [
            Trader(client, name, random.Random(f"{SEED}/{name}"), stopping)
            for client, name in zip(clients, TRADERS, strict=True)
        ]
        threads = [threading.Thread(target=trader.run) for trader in traders]
        for thread in threads:
            thread.start()
        try:
            yield traders
        finally:
            stopping.set()
            for thread in threads:
                thread.join(PATIENCE_S + 5)
            for client, (cache, database) in zip(clients, stores, strict=True):
                client.close()
                cache.close()
                database.close()


def answered(traders: list[Trader], since: float) -> bool:
    """Whether every trader has had ten answers since."""
    return all(sum(at > since for at in trader.times[-50:]) >= 10 for trader in traders)


def outage(traders: list[Trader], since: float) -> float:
    """The longest time after `since` in which nobody was answered."""
    times = sorted([since, *(at for trader in traders for at in trader.times if at > since)])
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def lost(pair: Databases, traders: list[Trader]) -> list[str]:
    """Everything that was acknowledged and is not in the database as it was."""
    with closing(psycopg2.connect(pair.url)) as connection:
        stored = dict(rows(connection, "SELECT order_id, first_sequence FROM orders"))
        fills: dict[tuple[str, int], list[str]] = {}
        for order_id, sequence, trade_id in rows(
            connection, "SELECT order_id, sequence, cell || '-' || sequence || '-' || index FROM fills"
        ):
            fills.setdefault((order_id, sequence), []).append(trade_id)
    told = [item for trader in traders for item in trader.acknowledged.items()]
    return [
        order_id
        for order_id, trades in told
        if order_id not in stored or sorted(fills.get((order_id, stored[order_id]), [])) != trades
    ]


def killed_primaries(pair: Databases, kills: int) -> tuple[list[Trader], list[float]]:
    """Kill the primary so often under load, each time when there is a standby again; return the outages in seconds."""
    chance, outages = random.Random(SEED), []
    with trading(pair) as traders:
        pause = threading.Event()
        for _ in range(kills):
            pair.until_fit()
            began = time.monotonic()
            while not answered(traders, began):
                assert time.monotonic() < began + PATIENCE_S, "no answers"
                pause.wait(0.01)
            pause.wait(chance.random() * 0.1)
            killed_at = time.monotonic()
            pair.send_alone(pair.roles.primary, signal.SIGKILL)
            while not answered(traders, killed_at + 0.5):
                assert time.monotonic() < killed_at + PATIENCE_S, "no answers after a kill"
                pause.wait(0.01)
            outages.append(outage(traders, killed_at))
    return traders, outages


def problems(pair: Databases, traders: list[Trader]) -> list[str]:
    """Everything that is not as it must be after the faults."""
    unanswered = [f"never answered: {order_id}" for trader in traders for order_id in trader.unanswered]
    missing = [f"lost: {order_id}" for order_id in lost(pair, traders)]
    return unanswered + missing + check_all(pair.url) + check_replay(pair.url)


def test_nothing_acknowledged_is_lost_when_the_primary_is_killed(pair: Databases) -> None:
    traders, outages = killed_primaries(pair, KILLS)

    assert problems(pair, traders) == []
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
    assert problems(pair, traders) == []
    assert ordered[-1] < OUTAGE_S
