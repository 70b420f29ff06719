"""Traders that place orders through a fault and write down every call and its final answer."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from client.credentials import Account, Credentials
from client.sdk import Client, Rejected, Reply, Request, Unavailable
from exchange.orders import id_of_signature, order_id_of
from tests.checkers.history import Call, Kind

Document = dict[str, Any]
PATIENCE_S = 50.0
"""As long as a signature can be sent again: in that time every call must find its answer."""
ATTEMPT_S = 8.0
CELL = 1
SYMBOL = "BTC-USD"
KEPT_OPEN = 40
"""A trader with more orders open cancels them all."""


class Recorder(Client):
    """A client that remembers the signature, the status, the attempts and the lost ones among them of its last call."""

    signature = ""
    status = 0
    attempts = 0
    lost_attempts = 0

    def _signed(self, method: str, path: str, query: str, document: Document | None) -> Request:
        request = super()._signed(method, path, query, document)
        self.signature = request.headers["X-Api-Signature"]
        self.attempts = self.lost_attempts = 0
        return request

    def _sent(self, request: Request, deadline: float) -> Reply:
        self.attempts += 1
        self.lost_attempts += 1
        reply = super()._sent(request, deadline)
        self.status = reply.status
        if reply.is_final or reply.status == 429 or reply.document.get("execution") == "none":
            self.lost_attempts -= 1
        return reply


@dataclass(slots=True)
class Trader:
    """One thread that trades, each call sent until it is answered; what it was told is in `calls`."""

    name: str
    account: Account
    base_url: str
    chance: random.Random
    stopping: threading.Event
    calls: list[Call] = field(default_factory=list)
    most_attempts: int = 0  # that one call needed
    resolved: int = 0  # calls with an attempt whose outcome was unknown, and a final answer
    answers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _open: list[str] = field(default_factory=list)
    _number: int = 0

    def run(self) -> None:
        """Trade until told to stop."""
        with Recorder(self.base_url, self.account.key, deadline_s=PATIENCE_S, attempt_s=ATTEMPT_S) as client:
            acts = (self._place, self._cancel, self._read, self._read_balances)
            while not self.stopping.is_set():
                act = self._cancel_all if len(self._open) > KEPT_OPEN else self.chance.choices(acts, (80, 10, 7, 3))[0]
                act(client)

    def wait_for(self, answers: int, seconds: float) -> bool:
        """Wait until the trader has had so many more answers."""
        return all(self.answers.acquire(timeout=seconds) for _ in range(answers))

    def _place(self, client: Recorder) -> None:
        self._number += 1
        order = an_order(self.chance, f"{self.name}-{self._number}")
        order_id = order_id_of(CELL, self.account.account_id, order["client_order_id"])
        call = self._called(client, Kind.PLACE, lambda: client.place(order), order_id)
        if call.is_accepted and call.document["order"]["status"] in ("new", "partially_filled", "queued"):
            self._open.append(order_id)

    def _cancel(self, client: Recorder) -> None:
        if self._open:
            order_id = self._open.pop(self.chance.randrange(len(self._open)))
            self._called(client, Kind.CANCEL, lambda: client.cancel(order_id), order_id)

    def _cancel_all(self, client: Recorder) -> None:
        self._open.clear()
        self._called(client, Kind.CANCEL_ALL, lambda: client.cancel_all(SYMBOL))

    def _read(self, client: Recorder) -> None:
        if self._open:
            order_id = self.chance.choice(self._open[-3:])
            self._called(client, Kind.ORDER, lambda: client.order(order_id), order_id)

    def _read_balances(self, client: Recorder) -> None:
        self._called(client, Kind.BALANCES, lambda: {"data": client.balances()})

    def _called(self, client: Recorder, kind: Kind, ask: Callable[[], Document], order_id: str = "") -> Call:
        call = recorded(client, self.account, kind, ask, order_id)
        self.calls.append(call)
        self.most_attempts = max(self.most_attempts, client.attempts)
        self.resolved += client.lost_attempts > 0 and call.status != 0
        self.answers.release()
        return call


def an_order(chance: random.Random, client_order_id: str) -> Document:
    """Return an order near one price, so that it may trade: mostly one that may rest, else one that may not."""
    order = {
        "symbol": SYMBOL,
        "side": chance.choice(("buy", "sell")),
        "type": "limit",
        "quantity": f"0.{chance.randint(1, 99):05d}",
        "price": f"{30_000 + chance.randint(-20, 20)}.00",
        "client_order_id": client_order_id,
    }
    more = chance.choices(({}, {"time_in_force": "ioc"}, {"time_in_force": "fok"}, {"post_only": True}), (85, 5, 5, 5))
    return order | more[0]


def recorded(client: Recorder, account: Account, kind: Kind, ask: Callable[[], Document], order_id: str) -> Call:
    """Ask, and return the call as its client saw it."""
    began = time.monotonic_ns()
    try:
        document = ask()
        status = client.status
    except Rejected as refused:
        status, document = refused.status, refused.problem
    except Unavailable as unavailable:
        is_harmless = unavailable.execution == "none"
        status, document = (503, {"execution": "none"}) if is_harmless else (0, {})
    ended = time.monotonic_ns()
    request_id = "" if kind is Kind.PLACE else id_of_signature(client.signature, 0)
    return Call(kind, account.account_id, began, ended, status, document, order_id, request_id)


@contextmanager
def trading(credentials: Credentials, seed: object, names: tuple[str, ...]) -> Iterator[list[Trader]]:
    """Run one trader a name for the length of the block, and wait for their last answers.

    A name is that of an account, and may come more than once.
    """
    stopping = threading.Event()
    traders = [
        Trader(
            f"{name}-{number}-{hashlib.sha256(str(seed).encode()).hexdigest()[:8]}",  # ids have at most 36 characters
            credentials.account(name),
            credentials.base_url,
            random.Random(f"{seed}/{name}/{number}"),
            stopping,
        )
        for number, name in enumerate(names)
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
