"""Traders that place orders through a fault and write down every final answer, and what those answers must mean.

The promise under test: what was acknowledged is in the database once, with the fills that were told, and every
request ends in an answer.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from client.credentials import Account, Credentials
from client.sdk import Client, Rejected, Unavailable
from tests.e2e.system import System

Document = dict[str, Any]
PATIENCE_S = 40.0
SYMBOL = "BTC-USD"


@dataclass(frozen=True, slots=True)
class Told:
    """What a trader was told about one order: acknowledged with its document, refused, or nothing at all."""

    client_order_id: str
    account_id: str
    answer: Document | None
    code: str | None = None


@dataclass(slots=True)
class Trader:
    """One thread that places and cancels orders, each until it is answered."""

    name: str
    account: Account
    base_url: str
    chance: random.Random
    stopping: threading.Event
    told: list[Told] = field(default_factory=list)
    answers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self) -> None:
        """Trade until told to stop."""
        with Client(self.base_url, self.account.key, deadline_s=PATIENCE_S, attempt_s=8) as client:
            number = 0
            while not self.stopping.is_set():
                self._place(client, f"{self.name}-{number}")
                number += 1
                if number % 200 == 0:
                    client.cancel_all(SYMBOL)

    def _place(self, client: Client, client_order_id: str) -> None:
        order = {
            "symbol": SYMBOL,
            "side": self.chance.choice(("buy", "sell")),
            "type": "limit",
            "quantity": f"0.{self.chance.randint(1, 99):05d}",
            "price": f"{30_000 + self.chance.randint(-20, 20)}.00",
            "client_order_id": client_order_id,
        }
        try:
            answer, code = client.place(order), None
        except Rejected as refused:
            answer, code = refused.problem, refused.code
        except Unavailable:
            answer, code = None, None
        self.told.append(Told(client_order_id, self.account.account_id, answer, code))
        self.answers.release()

    def wait_for(self, answers: int, seconds: float) -> bool:
        """Wait until the trader has had so many more answers."""
        return all(self.answers.acquire(timeout=seconds) for _ in range(answers))


@contextmanager
def trading(credentials: Credentials, seed: object, names: tuple[str, ...]) -> Iterator[list[Trader]]:
    """Run one trader an account for the length of the block, and wait for their last answers."""
    stopping = threading.Event()
    traders = [
        Trader(
            f"{name}-{seed}", credentials.account(name), credentials.base_url, random.Random(f"{seed}/{name}"), stopping
        )
        for name in names
    ]
    threads = [threading.Thread(target=trader.run, daemon=True) for trader in traders]
    for thread in threads:
        thread.start()
    try:
        yield traders
    finally:
        stopping.set()
        for thread in threads:
            thread.join(PATIENCE_S + 20)
            assert not thread.is_alive(), "a request has not ended"


def reader_url(system: System) -> str:
    """Return a way into a running system's database that can read everything."""
    url = urlsplit(system.variables["DATABASE_URL"])
    password = system.variables["DATABASE_PASSWORD"]
    return url._replace(netloc=f"{url.username}:{password}@{url.hostname}:{url.port}").geturl()


def problems(dsn: str, told: list[Told]) -> Iterator[str]:
    """Compare what traders were told with what the database holds."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT account_id, client_order_id, order_id, status, first_sequence FROM orders")
        stored = {(account, client): (order_id, status, first) for account, client, order_id, status, first in cursor}
        cursor.execute("SELECT order_id, sequence, cell || '-' || sequence || '-' || index, quantity FROM fills")
        fills: dict[tuple[str, int], set[tuple[str, str]]] = {}
        for order_id, sequence, trade_id, quantity in cursor:
            fills.setdefault((order_id, sequence), set()).add((trade_id, str(quantity)))
    connection.close()
    for item in told:
        if item.answer is None:
            yield f"{item.client_order_id} was never answered"
            continue
        found = stored.get((item.account_id, item.client_order_id))
        if found is None:
            yield f"{item.client_order_id} was answered {item.code or 'acknowledged'} and is not in the database"
            continue
        yield from _differences(item, found, fills)


def _differences(
    item: Told, found: tuple[str, str, int], fills: dict[tuple[str, int], set[tuple[str, str]]]
) -> Iterator[str]:
    assert item.answer is not None
    order_id, status, first_sequence = found
    if (status == "rejected") != (item.code is not None):
        yield f"{item.client_order_id} was told {item.code}, and is {status}"
    if item.code is None:
        told = {(fill["trade_id"], fill["quantity"]) for fill in item.answer["fills"]}
        if told != fills.get((order_id, first_sequence), set()):
            yield f"{item.client_order_id} was told other fills than its own"
