"""Tickets into a batch: each command gets its sequence and is applied, or is answered without; nothing is committed."""

import logging

from msgspec import Struct
from msgspec.json import encode

from exchange.commands import AdvanceTime, AmendOrder, CancelOrder, Command, Journaled, PlacePair
from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event
from exchange.orders import PlaceOrder
from exchange.wire import Answer
from matching_service import answers, journal, state_hash
from matching_service.engine import Copy, Refusal
from matching_service.failpoints import NONE, Failpoints
from matching_service.journal import Batch
from matching_service.lease import Leadership
from matching_service.replica import Loaded
from matching_service.submissions import StreamPosition, Ticket
from matching_service.tables import RowWriter

logger = logging.getLogger(__name__)


class Poisoned(Exception):  # noqa: N818 - it names the command, the bug is its cause
    """`apply` raised: the memory is of no more use, and `command` must be journaled without being applied."""

    def __init__(self, command: Command) -> None:
        super().__init__(type(command).__name__)
        self.command = command


class Matched(Struct):
    """A batch and what may be told once it is committed; `batch` is None when nothing was sequenced.

    `later` are those that are answered from the tables then, each with the sequence that it is about.
    """

    tickets: list[Ticket]
    batch: Batch | None
    ready: list[tuple[Ticket, Answer]]
    later: list[tuple[Ticket, int, bool]]


class Sequencer:
    """The memory of one leadership: the engine with its hash, and the chain of the last batch that was made of it.

    The first batch carries the full hash, as it is at take-over; later ones where it is due.
    """

    def __init__(self, loaded: Loaded, leadership: Leadership, failpoints: Failpoints = NONE) -> None:
        self.engine = engine = loaded.engine
        self.state_hash = loaded.state_hash
        self.leadership = leadership
        self.chain = loaded.chain
        self._applied = failpoints.around("apply", engine.apply)
        self.row_writer = RowWriter(engine.market, engine.asset)
        self.owes_hash = True
        self.positions: dict[str, StreamPosition] = {}

    def poisoned(self, command: Command) -> Batch:
        """Give a command that an earlier memory could not apply its sequence, without applying it."""
        time = max(self.leadership.now(), self.engine.time)
        events = self.engine.apply_poisoned(command, time)
        return self._batch([Journaled(self.engine.sequence, time, command, poisoned=True)], [events])

    def is_time_due(self) -> bool:
        """Say whether the next batch begins with an `AdvanceTime`, even if it holds nothing else."""
        timer = self.engine.next_timer()
        return timer is not None and timer <= max(self.leadership.now(), self.engine.time)

    def seconds_to_timer(self) -> float | None:
        """Return how long it is until time is due, None while no timer is armed."""
        timer = self.engine.next_timer()
        return None if timer is None else max(0.0, (timer - self.leadership.now()) / 1e6)

    def match(self, tickets: list[Ticket], known: dict[str, int]) -> Matched:
        """Sequence and apply each command; what was applied before, or leaves no trace, is not sequenced."""
        journaled: list[Journaled] = []
        events: list[list[Event]] = []
        matched = Matched(tickets, None, [], [])
        time = max(self.leadership.now(), self.engine.time)
        timer = self.engine.next_timer()
        if timer is not None and timer <= time:
            events.append(self._apply(AdvanceTime(), time))
            journaled.append(Journaled(self.engine.sequence, time, AdvanceTime()))
        for ticket in tickets:
            command = ticket.command
            if ticket.submission.position is not None:
                self.positions[ticket.submission.position.shard_id] = ticket.submission.position
            if ticket.submission.request.test:
                matched.ready.append((ticket, self._test(command)))
                continue
            verdict = self._verdict(command, known)
            if isinstance(verdict, Refusal):
                refusal = Answer(code=verdict.code, detail=verdict.detail, field=verdict.field)
                matched.ready.append((ticket, refusal))
            elif verdict is not None:
                matched.later.append((ticket, verdict, True))
            else:
                happened = self._apply(command, time)
                trace = ticket.submission.request.trace
                journaled.append(Journaled(self.engine.sequence, time, command, trace=trace))
                events.append(happened)
                self._note_answer(matched, ticket, time, happened)
        if journaled:
            matched.batch = self._batch(journaled, events)
        return matched

    def _verdict(self, command: Command, known: dict[str, int]) -> Refusal | int | None:
        """Return the sequence of an earlier application, a refusal without trace, or None."""
        for key in answers.keys_of(command):
            if key in known:
                return known[key]
        verdict = self.engine.examine(command)
        return verdict.sequence if isinstance(verdict, Copy) else verdict

    def _test(self, command: Command) -> Answer:
        assert isinstance(command, PlaceOrder)
        verdict = self.engine.examine(command)
        if isinstance(verdict, Refusal):
            return Answer(code=verdict.code, detail=verdict.detail, field=verdict.field)
        code = self.engine.check(command)
        return Answer(code=code, detail=DETAIL_OF_CODE[code]) if code else Answer()

    def _apply(self, command: Command, time: int) -> list[Event]:
        try:
            return self._applied(command, time)
        except Exception as error:
            logger.exception("a command could not be applied", extra={"sequence": self.engine.sequence})
            raise Poisoned(command) from error

    def _note_answer(self, matched: Matched, ticket: Ticket, time: int, events: list[Event]) -> None:
        command, engine = ticket.command, self.engine
        if isinstance(command, PlaceOrder):
            answer = answers.order_answer(engine.cell, engine.subject(), events, engine.market(command.symbol))
        elif isinstance(command, PlacePair):
            first, second = engine.subjects()
            market = engine.market(command.first.symbol)
            answer = answers.pair_answer(engine.cell, (first, second), events, market)
        elif isinstance(command, CancelOrder | AmendOrder) and _is_done(events):
            matched.later.append((ticket, engine.sequence, False))
            return
        elif events and isinstance(events[0], CommandRefused):
            answer = answers.events_answer(engine.sequence, time, command, events)
        elif isinstance(command, CancelOrder):
            answer = answers.events_answer(engine.sequence, time, command, events, engine.subject())
        elif isinstance(command, AmendOrder):
            order = engine.subject()
            answer = answers.amend_answer(engine.cell, command, order, events, engine.market(order.placed.symbol))
        else:
            answer = answers.events_answer(engine.sequence, time, command, events)
        matched.ready.append((ticket, answer))

    def _taken_positions(self) -> str | None:
        """Return how far the waiting room has come since the last batch, as `write_stream_positions` takes it."""
        if not self.positions:
            return None
        taken = encode(list(self.positions.values())).decode()
        self.positions.clear()
        return taken

    def _batch(self, journaled: list[Journaled], events: list[list[Event]]) -> Batch:
        changes = self.engine.take_changes()
        self.engine.assert_sound(changes)
        rows = self.row_writer.rows_of(journaled, events, changes)
        self.state_hash.update(journaled, changes)
        full_hash = None
        if self.owes_hash or state_hash.is_due(journaled[0].sequence, journaled[-1].sequence):
            full_hash, self.owes_hash = self.state_hash.digest(), False
        cell, epoch = self.engine.cell, self.leadership.epoch
        positions = self._taken_positions()
        batch = journal.batch_of(cell, epoch, self.chain, journaled, events, rows, full_hash, positions)
        self.chain = batch.chain
        return batch


def _is_done(events: list[Event]) -> bool:
    """Tell whether the order that was to change is open no longer, or was never there."""
    return isinstance(events[0], CommandRefused) and events[0].code == "order.not_cancelable"
