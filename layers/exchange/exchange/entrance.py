"""The way in for what may wait: to the leader, or to the waiting room while no leader answers; it decides no order."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from exchange.commands import AmendOrder, CancelOrder, Command, fingerprint
from exchange.errors import DETAIL_OF_CODE, Rejected, Unavailable
from exchange.orders import FillRecord, OrderRecord, OrderStatus, PlaceOrder
from exchange.queued import Queueable, waiting_order
from exchange.stores.database import DatabaseAway
from exchange.wire import Answer

ANSWERED_WITHIN_S = 1.2
"""An order that waits is answered within 1.5 s; what the function does before and after has the rest."""
LOOKED_UP_WITHIN_S = 0.6
"""Later the tables are not asked any more, which may take half a second to say nothing: the leader finds copies too."""
LEAST_S = 0.3
"""What the stream is given at least."""


class Queued(Struct, frozen=True):
    """A command waits for a leader; `order` is as it is known now, None where nobody can tell."""

    order: OrderRecord | None
    replayed: bool = False


class Gauge(Protocol):
    """Whether the leader is worth asking."""

    def lets_through(self) -> bool:
        """Tell whether the engine is to be asked."""

    def failed(self) -> None:
        """Hear that nobody answered."""

    def succeeded(self) -> None:
        """Hear that the engine answered."""


class Engine(Protocol):
    """The leader, at the other end of the wire."""

    def submit(self, commands: Sequence[Command], test: bool = False, silence_ms: int | None = None) -> list[Answer]:
        """Return the committed answers; raise `Unavailable` where there are none, `Rejected` where it takes no more."""


class Tables(Protocol):
    """What is committed; each raises `DatabaseAway`, and soon."""

    def by_id(self, account_id: str, order_id: str) -> OrderRecord | None:
        """Return one order of the account."""

    def entered(self, account_id: str, order_id: str) -> tuple[OrderRecord, bytes, list[FillRecord]] | None:
        """Return one order of the account, the fingerprint of what was asked, and the fills of its own command."""


class Room(Protocol):
    """Where commands wait."""

    def enter(self, command: Queueable, arrived: int, within_s: float) -> None:
        """Let a command wait; raise `Unavailable` when it cannot."""

    def noted(self, account_id: str, order_id: str) -> OrderRecord | None:
        """Return an order of the account that was queued in the last hour."""


class Entrance:
    """Takes one command at a time; without a waiting room everything goes to the leader."""

    def __init__(
        self,
        engine: Engine,
        breaker: Gauge,
        room: Room | None,
        orders: Tables,
        silence_ms: int,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
    ):
        """Take `orders` that give up soon, and for how long the engine may say nothing."""
        self._engine = engine
        self._breaker = breaker
        self._room = room
        self._orders = orders
        self._silence_ms = silence_ms
        self._now = now

    def place(self, order: PlaceOrder, is_async: bool) -> Answer | Queued:
        """Return what became of an order, or that it waits; raise `Unavailable` when it can do neither."""
        if self._room is None:
            return self._engine.submit([order])[0]
        arrived = self._now()
        answer = None if is_async else self._asked(order)
        if isinstance(answer, Answer):
            return answer
        return self._earlier(self._room, order, arrived) or self._entered(
            order, arrived, waiting_order(order, arrived), answer
        )

    def change(self, command: CancelOrder | AmendOrder, is_async: bool) -> Answer | Queued:
        """Return what became of a change of one order, or that it waits; raise `Rejected` where there is none."""
        if self._room is None:
            return self._engine.submit([command])[0]
        arrived = self._now()
        answer = None if is_async else self._asked(command)
        if not isinstance(answer, Answer):
            return self._entered(command, arrived, self._known(self._room, command, arrived), answer)
        if answer.code != "resource.not_found":
            return answer
        noted = self._room.noted(command.account_id, command.order_id)
        if noted is None:
            return answer
        # The order still waits, so its change does too, under another id than the one that was just refused.
        return self._entered(replace(command, request_id=f"{command.request_id}-queued"), arrived, noted, None)

    def _asked(self, command: Queueable) -> Answer | Unavailable | None:
        """Ask the engine, unless it did not answer just now; what is returned says how sure it is that nothing was."""
        if not self._breaker.lets_through():
            return None
        try:
            (answer,) = self._engine.submit([command], silence_ms=self._silence_ms)
        except Unavailable as unavailable:
            self._breaker.failed()
            return unavailable
        except Rejected:  # it takes no more at the moment: that too is an answer
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer

    def _entered(
        self, command: Queueable, arrived: int, order: OrderRecord | None, unanswered: Unavailable | None
    ) -> Answer | Queued:
        """Let a command wait; where even that cannot be, the engine is asked if it was not."""
        assert self._room is not None
        try:
            left_s = ANSWERED_WITHIN_S - self._seconds_since(arrived)
            self._room.enter(command, arrived, max(left_s, LEAST_S))
        except Unavailable as error:
            answer = unanswered or self._asked(command)
            if isinstance(answer, Answer):
                return answer
            is_none = error.execution == "none" and (answer is None or answer.execution == "none")
            raise Unavailable(error.detail, "none" if is_none else "unknown") from None
        return Queued(order)

    def _seconds_since(self, arrived: int) -> float:
        return (self._now() - arrived) / 1_000_000

    def _tables(self, arrived: int) -> Tables:
        """Return the tables while there is time for them; raise `DatabaseAway` after that."""
        if self._seconds_since(arrived) > LOOKED_UP_WITHIN_S:
            raise DatabaseAway("there is no time left to ask")
        return self._orders

    def _earlier(self, room: Room, order: PlaceOrder, arrived: int) -> Answer | Queued | None:
        """Answer a copy of an order that was executed, or waits; None where there is none that anybody knows of."""
        try:
            entered = self._tables(arrived).entered(order.account_id, order.order_id)
        except DatabaseAway:
            entered = None
        if entered is not None:
            found, asked, fills = entered
            if asked != fingerprint(order):
                return _mismatch()
            code = found.reason if found.status is OrderStatus.REJECTED else None
            return Answer(found.sequence, found.updated_time, True, code, order=found, fills=fills)
        noted = room.noted(order.account_id, order.order_id)
        if noted is None:
            return None
        return Queued(noted, replayed=True) if fingerprint(noted.placed) == fingerprint(order) else _mismatch()

    def _known(self, room: Room, command: CancelOrder | AmendOrder, arrived: int) -> OrderRecord | None:
        """Return the order that a command is about; raise `Rejected` when it is certain that there is none."""
        try:
            found = self._tables(arrived).by_id(command.account_id, command.order_id)
        except DatabaseAway:
            return room.noted(command.account_id, command.order_id)
        found = found or room.noted(command.account_id, command.order_id)
        if found is None:
            raise Rejected("resource.not_found", DETAIL_OF_CODE["resource.not_found"])
        return found


def prefers_async(headers: Sequence[str]) -> bool:
    """Tell whether the values of the header `Prefer` hold `respond-async` (RFC 7240)."""
    preferences = [part.split(";")[0].strip().lower() for value in headers for part in value.split(",")]
    return "respond-async" in preferences


def _mismatch() -> Answer:
    return Answer(code="order.duplicate_mismatch", detail=DETAIL_OF_CODE["order.duplicate_mismatch"])
