"""A matching service under load by traders who note every answer, and what those answers must mean afterwards."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2

from exchange.errors import Rejected, Unavailable
from exchange.gateway_client import GatewayClient
from exchange.orders import FillRecord, Side
from exchange.stores.cache import Cache
from exchange.stores.database import Database
from exchange.stores.leaders import LeaderDirectory
from matching_service.database import rows
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.serving import CELL, SECRET, limit, seeded, serving, settings

SEED = 20_261_126
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


@contextmanager
def trading(database_url: str, redis_url: str) -> Iterator[list[Trader]]:
    """Run a service, and traders who find it as functions do; wait for their last answers."""
    given, stopping = settings(database_url, redis_url), threading.Event()
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


def lost(database_url: str, traders: list[Trader]) -> list[str]:
    """Everything that was acknowledged and is not in the database as it was."""
    with closing(psycopg2.connect(database_url)) as connection:
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


def until_answered(traders: list[Trader], since: float, seconds: float = PATIENCE_S) -> None:
    """Wait until every trader has had ten answers since."""
    pause, give_up_at = threading.Event(), time.monotonic() + seconds
    while not answered(traders, since):
        assert time.monotonic() < give_up_at, "no answers"
        pause.wait(0.01)


def problems(database_url: str, traders: list[Trader]) -> list[str]:
    """Everything that is not as it must be after the faults."""
    unanswered = [f"never answered: {order_id}" for trader in traders for order_id in trader.unanswered]
    missing = [f"lost: {order_id}" for order_id in lost(database_url, traders)]
    return unanswered + missing + check_all(database_url) + check_replay(database_url)
