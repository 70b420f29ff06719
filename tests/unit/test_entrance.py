"""The way in: to the leader while it answers, to the waiting room while it does not, and one effect on both."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from exchange.commands import CancelOrder, Command, fingerprint
from exchange.entrance import Entrance, Queued, prefers_async
from exchange.errors import Rejected, Unavailable
from exchange.orders import FillRecord, OrderRecord, OrderStatus, PlaceOrder
from exchange.queued import Queueable, waiting_order
from exchange.stores.database import DatabaseAway
from exchange.wire import Answer
from tests.engines import buy

NOW = 7_000_000
ORDER = buy("1-a", "alice", 2, 100)
CANCEL = CancelOrder("x_1", "alice", "1-a")
RESTING = replace(waiting_order(ORDER, 5), status=OrderStatus.NEW, first_sequence=9, sequence=9)
DONE = Answer(sequence=9, order=RESTING)
AWAY = Unavailable("gone", execution="none")
SILENT = Unavailable("silent", execution="unknown")


class Engine:
    """A leader that says what it is told to, and remembers what it was asked."""

    def __init__(self, said: Answer | Unavailable | Rejected = DONE) -> None:
        self.said = said
        self.asked: list[Command] = []

    def submit(self, commands: Sequence[Command], test: bool = False, silence_ms: int | None = None) -> list[Answer]:
        assert not test
        self.asked += commands
        if isinstance(self.said, Exception):
            raise self.said
        return [self.said]


class Tables:
    """One order, or none, in tables that may be away."""

    def __init__(self, order: OrderRecord | None = None, is_away: bool = False) -> None:
        self.order = order
        self.is_away = is_away

    def by_id(self, account_id: str, order_id: str) -> OrderRecord | None:
        if self.is_away:
            raise DatabaseAway("gone")
        assert (account_id, order_id) == ("alice", "1-a")
        return self.order

    def entered(self, account_id: str, order_id: str) -> tuple[OrderRecord, bytes, list[FillRecord]] | None:
        order = self.by_id(account_id, order_id)
        return None if order is None else (order, fingerprint(order.placed), [])


class Room:
    """A waiting room that takes commands, unless it is full."""

    def __init__(self, noted: OrderRecord | None = None, refusal: Unavailable | None = None) -> None:
        self.order = noted
        self.refusal = refusal
        self.entered: list[tuple[Queueable, int]] = []

    def enter(self, command: Queueable, arrived: int, within_s: float) -> None:
        assert 0.3 <= within_s <= 1.2
        if self.refusal is not None:
            raise self.refusal
        self.entered.append((command, arrived))

    def noted(self, account_id: str, order_id: str) -> OrderRecord | None:
        assert (account_id, order_id) == ("alice", "1-a")
        return self.order


class Breaker:
    """A breaker that lets through what it is told to, and remembers what came of it."""

    def __init__(self, is_open: bool = False) -> None:
        self.is_open = is_open
        self.heard: list[str] = []

    def lets_through(self) -> bool:
        return not self.is_open

    def failed(self) -> None:
        self.heard.append("failed")

    def succeeded(self) -> None:
        self.heard.append("succeeded")


def entrance(
    engine: Engine, room: Room | None = None, tables: Tables | None = None, breaker: Breaker | None = None
) -> Entrance:
    return Entrance(engine, breaker or Breaker(), room, tables or Tables(), 300, lambda: NOW)


def test_a_leader_that_answers_is_the_only_one_asked() -> None:
    engine, room, breaker = Engine(), Room(), Breaker()

    assert entrance(engine, room, breaker=breaker).place(ORDER, is_async=False) is DONE
    assert (engine.asked, room.entered, breaker.heard) == ([ORDER], [], ["succeeded"])


@pytest.mark.parametrize("failure", [AWAY, SILENT])
def test_an_order_waits_when_the_leader_does_not_answer(failure: Unavailable) -> None:
    room, breaker = Room(), Breaker()

    answer = entrance(Engine(failure), room, breaker=breaker).place(ORDER, is_async=False)

    assert answer == Queued(waiting_order(ORDER, NOW))
    assert (room.entered, breaker.heard) == ([(ORDER, NOW)], ["failed"])


def test_a_leader_that_takes_no_more_has_answered() -> None:
    room, breaker = Room(), Breaker()

    with pytest.raises(Rejected):
        entrance(Engine(Rejected("rate.limited", "busy")), room, breaker=breaker).place(ORDER, is_async=False)

    assert (room.entered, breaker.heard) == ([], ["succeeded"])


def test_behind_an_open_breaker_nobody_is_asked() -> None:
    engine, room = Engine(), Room()

    answer = entrance(engine, room, breaker=Breaker(is_open=True)).place(ORDER, is_async=False)

    assert isinstance(answer, Queued)
    assert (engine.asked, room.entered) == ([], [(ORDER, NOW)])


def test_who_prefers_not_to_wait_goes_to_the_stream_past_a_leader_that_would_answer() -> None:
    engine, room = Engine(), Room()

    assert isinstance(entrance(engine, room).place(ORDER, is_async=True), Queued)
    assert (engine.asked, room.entered) == ([], [(ORDER, NOW)])


def test_a_preference_that_cannot_be_met_is_not_insisted_on() -> None:
    assert entrance(Engine(), Room(refusal=AWAY)).place(ORDER, is_async=True) is DONE


def test_without_a_waiting_room_everything_goes_to_the_leader() -> None:
    assert entrance(Engine()).place(ORDER, is_async=True) is DONE
    with pytest.raises(Unavailable):
        entrance(Engine(AWAY)).place(ORDER, is_async=False)


@pytest.mark.parametrize(
    ("engine", "stream", "execution"),
    [(AWAY, AWAY, "none"), (SILENT, AWAY, "unknown"), (AWAY, SILENT, "unknown"), (SILENT, SILENT, "unknown")],
)
def test_that_nothing_happened_is_said_only_where_both_ways_say_so(
    engine: Unavailable, stream: Unavailable, execution: str
) -> None:
    with pytest.raises(Unavailable) as refused:
        entrance(Engine(engine), Room(refusal=stream)).place(ORDER, is_async=False)

    assert refused.value.execution == execution


def test_a_copy_of_an_executed_order_gets_its_first_answer_while_nobody_leads() -> None:
    room = Room(noted=waiting_order(ORDER, 5))

    answer = entrance(Engine(AWAY), room, Tables(RESTING)).place(ORDER, is_async=False)

    assert answer == Answer(sequence=9, time=5, replayed=True, order=RESTING)
    assert room.entered == []


def test_a_copy_of_a_refused_order_is_refused_alike_while_nobody_leads() -> None:
    rejected = replace(RESTING, status=OrderStatus.REJECTED, reason="order.insufficient_funds")

    answer = entrance(Engine(AWAY), Room(), Tables(rejected)).place(ORDER, is_async=False)

    assert isinstance(answer, Answer)
    assert (answer.code, answer.replayed, answer.order) == ("order.insufficient_funds", True, rejected)


def test_a_copy_of_a_waiting_order_does_not_wait_twice() -> None:
    noted = waiting_order(ORDER, 5)
    room = Room(noted)

    assert entrance(Engine(AWAY), room).place(ORDER, is_async=False) == Queued(noted, replayed=True)
    assert room.entered == []


@pytest.mark.parametrize(("room", "tables"), [(waiting_order(ORDER, 5), None), (None, RESTING)])
def test_an_id_that_waits_or_was_executed_is_taken(room: OrderRecord | None, tables: OrderRecord | None) -> None:
    other = replace(ORDER, price_ticks=101)

    answer = entrance(Engine(AWAY), Room(room), Tables(tables)).place(other, is_async=False)

    assert isinstance(answer, Answer)
    assert answer.code == "order.duplicate_mismatch"


def test_without_a_database_a_new_order_waits_all_the_same() -> None:
    room = Room()

    assert isinstance(entrance(Engine(AWAY), room, Tables(is_away=True)).place(ORDER, is_async=False), Queued)
    assert room.entered == [(ORDER, NOW)]


def test_when_the_leader_took_its_time_to_say_nothing_the_tables_are_not_asked_any_more() -> None:
    room, times = Room(), iter((NOW, NOW + 700_000, NOW + 700_000))
    late = Entrance(Engine(SILENT), Breaker(), room, Tables(RESTING), 300, lambda: next(times))

    assert isinstance(late.place(ORDER, is_async=False), Queued)
    assert room.entered == [(ORDER, NOW)]


def test_a_change_waits_with_the_order_as_it_is_now() -> None:
    room = Room()

    assert entrance(Engine(AWAY), room, Tables(RESTING)).change(CANCEL, is_async=False) == Queued(RESTING)
    assert room.entered == [(CANCEL, NOW)]


def test_a_change_of_an_order_that_waits_waits_behind_it_under_an_id_that_was_not_refused() -> None:
    noted = waiting_order(ORDER, 5)
    room, unknown = Room(noted), Answer(sequence=3, code="resource.not_found")

    assert entrance(Engine(unknown), room).change(CANCEL, is_async=False) == Queued(noted)
    assert room.entered == [(CancelOrder("x_1-queued", "alice", "1-a"), NOW)]


def test_what_the_leader_does_not_know_and_nobody_noted_is_not_there() -> None:
    unknown = Answer(sequence=3, code="resource.not_found")

    assert entrance(Engine(unknown), Room()).change(CANCEL, is_async=False) is unknown
    with pytest.raises(Rejected) as refused:
        entrance(Engine(AWAY), Room()).change(CANCEL, is_async=False)
    assert refused.value.status == 404


def test_where_nobody_can_tell_whether_there_is_such_an_order_its_cancel_waits() -> None:
    room = Room()

    assert entrance(Engine(AWAY), room, Tables(is_away=True)).change(CANCEL, is_async=False) == Queued(None)
    assert room.entered == [(CANCEL, NOW)]


@pytest.mark.parametrize(
    ("headers", "is_async"),
    [
        ([], False),
        (["respond-async"], True),
        (["return=minimal, Respond-Async; wait=10"], True),
        (["wait=10", "respond-async"], True),
        (["respond-asynchronously"], False),
    ],
)
def test_the_preference_is_found_among_others(headers: list[str], is_async: bool) -> None:
    assert prefers_async(headers) is is_async


def test_an_order_has_the_same_fingerprint_in_the_room_and_in_the_tables() -> None:
    assert isinstance(waiting_order(ORDER, 5).placed, PlaceOrder)
    assert fingerprint(waiting_order(ORDER, 5).placed) == fingerprint(RESTING.placed)
