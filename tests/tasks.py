"""Tasks of the matching service as real processes on one database, and traders at their gateways."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange.errors import Unavailable
from exchange.gateway_client import GatewayClient
from exchange.orders import Side
from exchange.stores.cache import Cache
from exchange.stores.database import Database
from exchange.stores.leaders import LeaderDirectory
from exchange.wire import Answer
from matching_service import health_check, lease
from matching_service.database import opened, rows
from matching_service.lease import Standing
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.e2e.system import Output
from tests.servers import postgres, valkey
from tests.serving import CELL, SECRET, limit, seeded
from tests.until import until

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20.0
PAUSE_S = 0.05
_numbers = itertools.count(1)


@dataclass(slots=True)
class Task:
    """One process of the service and what it has logged."""

    process: "subprocess.Popen[str]"
    output: Output
    health_port: int

    def until_started(self) -> None:
        """Wait until the task tells its health port."""
        self.health_port = self.logged("started")["health_port"]

    def health(self) -> dict[str, Any]:
        """Ask the task how it is."""
        document: dict[str, Any] = json.loads(health_check.check(self.health_port)[1])
        return document

    def logged(self, message: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for a log line and return it."""
        found: dict[str, Any] = json.loads(self.output.line(f'"message": "{message}"', seconds))
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(PATIENCE_S)


@dataclass(slots=True)
class Told:
    """What a trader was told about one order: when, in which try, and what."""

    order_id: str
    asked_s: float
    told_s: float
    tries: int
    answer: Answer


@dataclass(slots=True)
class Trader:
    """One thread that places orders, each again and again until it is answered."""

    name: str
    client: GatewayClient
    stopping: threading.Event
    told: list[Told] = field(default_factory=list)

    def run(self) -> None:
        """Trade until told to stop."""
        chance, pause = random.Random(self.name), threading.Event()
        while not self.stopping.is_set():
            account, side = chance.choice(("alice", "bob", "maker")), chance.choice((Side.BUY, Side.SELL))
            order = limit(account, side, chance.randint(1, 99), 3_000_000 + chance.randint(-5, 5), self._new_id())
            asked_s, tries = time.monotonic(), 1
            while (answer := self._answer([order])) is None:
                tries += 1
                pause.wait(PAUSE_S)
            self.told.append(Told(order.order_id, asked_s, time.monotonic(), tries, answer))
        self.client.close()

    def _answer(self, commands: list[Any]) -> Answer | None:
        try:
            return self.client.submit(commands)[0]
        except Unavailable:
            return None

    def _new_id(self) -> str:
        return f"{self.name}-{next(_numbers)}"


class Cell:
    """One cell: its database, its tasks, and who trades in it."""

    def __init__(self) -> None:
        self.database_url, self.redis_url = postgres(), valkey()
        self.tasks: list[Task] = []
        self.stores: list[Cache | Database] = []

    def start(self, **variables: str) -> Task:
        """Start one more task, and wait until it says how it is."""
        task = self.launch(**variables)
        task.until_started()
        return task

    def launch(self, **variables: str) -> Task:
        """Start one more task."""
        own = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "GATEWAY_SECRET": SECRET,
            "KEY_ENCRYPTION_KEY": "0" * 64,
            "EXECUTIONS_STREAM": "",
            "GATEWAY_PORT": "0",
            "GATEWAY_ADDRESS": "127.0.0.1",
            "HEALTH_PORT": "0",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "exchange"))),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "matching_service"],
            cwd=ROOT,
            env={**os.environ, **own, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        task = Task(process, Output(process), 0)
        self.tasks.append(task)
        return task

    def first(self, **variables: str) -> Task:
        """Start a leader and seed the cell."""
        leader = self.start(**variables)
        leader.logged("leading")
        client = self.client()
        seeded(client)
        client.close()
        return leader

    def pair(self, **variables: str) -> tuple[Task, Task]:
        """Start a leader, with variables of its own, and a task that stands by; return both when they are healthy."""
        leader = self.first(**variables)
        standby = self.start()
        self.until_healthy(standby)
        return leader, standby

    def client(self, timeout_ms: int = 5000) -> GatewayClient:
        """Return a client as a function has it."""
        cache, database = Cache(self.redis_url), Database(self.database_url, "")
        self.stores += [cache, database]
        return GatewayClient(LeaderDirectory(cache, database, CELL), SECRET, timeout_ms)

    def standing(self) -> Standing:
        """Return who holds the lease."""
        with opened(self.database_url, "", "test") as connection:
            found = lease.standing(connection, CELL)
        assert found is not None
        return found

    def leader(self) -> Task:
        """Return the task that holds the lease."""
        pid = int(self.standing().holder.split("-")[-2])
        return next(task for task in self.tasks if task.process.pid == pid)

    @contextmanager
    def trading(self, traders: int = 3) -> Iterator[list[Trader]]:
        """Let traders trade for the length of the block, and wait for their last answers."""
        stopping = threading.Event()
        trading = [Trader(f"t{next(_numbers)}", self.client(), stopping) for _ in range(traders)]
        threads = [threading.Thread(target=trader.run, daemon=True) for trader in trading]
        for thread in threads:
            thread.start()
        try:
            until(lambda: all(trader.told for trader in trading), PATIENCE_S)
            yield trading
        finally:
            stopping.set()
            for thread in threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive(), "a request has not ended"

    def go_on(self, traders: list[Trader]) -> None:
        """Wait until every trader was told of an order that it asked for from now on."""
        now = time.monotonic()
        assert until(lambda: all(trader.told and trader.told[-1].asked_s > now for trader in traders), PATIENCE_S), (
            "orders do not go on"
        )

    def until_healthy(self, task: Task) -> None:
        """Wait until a task says that it is healthy."""
        assert until(lambda: task.health()["healthy"], PATIENCE_S), task.health()

    def stale_answers(self, traders: list[Trader]) -> list[str]:
        """Return what was acknowledged from an epoch after something was from a later one: I13."""
        with opened(self.database_url, "", "test") as connection:
            batches = rows(connection, "SELECT first_sequence, last_sequence, epoch FROM journal")
        epochs = {sequence: epoch for first, last, epoch in batches for sequence in range(first, last + 1)}
        told = sorted((one for trader in traders for one in trader.told), key=lambda one: one.told_s)
        latest, found = 0, []
        for one in told:
            epoch = epochs.get(one.answer.sequence, latest)
            if epoch < latest and not one.answer.replayed:
                found.append(f"{one.order_id} was told from epoch {epoch} after {latest} had begun")
            latest = max(latest, epoch)
        return found

    def problems(self, traders: list[Trader]) -> list[str]:
        """Return every violation that the database shows, and what was told otherwise than it is."""
        with opened(self.database_url, "", "test") as connection:
            stored = dict(rows(connection, "SELECT order_id, first_sequence FROM orders"))
        told = [told for trader in traders for told in trader.told]
        wrong = [
            f"{one.order_id} was told {one.answer.sequence}, and is {stored.get(one.order_id)}"
            for one in told
            if one.order_id not in stored
            or (one.answer.code is None and not one.answer.replayed and one.answer.sequence != stored[one.order_id])
        ]
        return wrong + self.stale_answers(traders) + check_all(self.database_url) + check_replay(self.database_url)

    def end(self) -> None:
        """Kill every task and close what clients opened."""
        for store in self.stores:
            store.close()
        for task in self.tasks:
            task.process.kill()
            with task.process:
                task.process.wait(PATIENCE_S)


@contextmanager
def cell() -> Iterator[Cell]:
    """Give a new cell for the length of the block."""
    made = Cell()
    try:
        yield made
    finally:
        made.end()


def outage_ms(traders: list[Trader], since_s: float) -> int:
    """Return the longest time without any answer that began at that moment, or up to half a second before it."""
    told = sorted(one.told_s for trader in traders for one in trader.told if one.told_s > since_s - 0.5)
    return round(1000 * max(later - one for one, later in itertools.pairwise(told)))
