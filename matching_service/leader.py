"""The leader's loop: take what waits, sequence and match it, commit it, and only then answer.

While one batch commits the next one is looked up and matched. Nothing is answered before everything up to the
sequence at which it was computed is committed, and there is no undo: after a failure the memory is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import psycopg2
from msgspec import Struct
from psycopg2.extensions import connection as Connection

from exchange import wire
from exchange.commands import CancelOrder, Command, Journaled
from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event
from exchange.orders import PlaceOrder
from exchange.wire import Answer
from matching_service import answers, journal
from matching_service.answers import Tables
from matching_service.engine import Copy, Engine, Refusal
from matching_service.failpoints import NONE, Failpoints
from matching_service.journal import Batch, Writer
from matching_service.lease import Leadership
from matching_service.tables import RowWriter

GIVE_UP_S = 2.0

logger = logging.getLogger(__name__)


class Poisoned(Exception):  # noqa: N818 - it names the command, the bug is its cause
    """`apply` raised: the memory is of no more use, and `command` must be journaled without being applied."""

    def __init__(self, command: Command) -> None:
        super().__init__(type(command).__name__)
        self.command = command


class Requester(Protocol):
    """Who asked: a session of the gateway, or whoever else waits for the reply."""

    def reply(self, message: wire.Reply) -> None:
        """Take the one reply to a request."""


class Submission:
    """One `Submit` on its way: answered when its last command is."""

    __slots__ = ("answers", "is_taken", "missing", "request", "requester")

    def __init__(self, requester: Requester, request: wire.Submit) -> None:
        self.requester = requester
        self.request = request
        self.answers: list[Answer] = [Answer()] * len(request.commands)
        self.missing = len(request.commands)
        self.is_taken = False

    def answer(self, place: int, answer: Answer) -> None:
        """Set one answer, and reply when it was the last."""
        self.answers[place] = answer
        self.missing -= 1
        if not self.missing:
            self.requester.reply(wire.Answers(self.request.id, self.answers))

    def fail(self, reason: str, execution: str) -> None:
        """Reply once that there will be no answer."""
        if self.missing > 0:
            self.missing = 0
            self.requester.reply(wire.Failure(self.request.id, reason, execution))


class Ticket(Struct, frozen=True, gc=False):
    """One command of a submission."""

    submission: Submission
    place: int
    command: Command


class Matched(Struct):
    """A batch and what may be told once it is committed; `batch` is None when nothing was sequenced.

    `later` are those that are answered from the tables then, each with the sequence that it is about.
    """

    tickets: list[Ticket]
    batch: Batch | None
    ready: list[tuple[Ticket, Answer]]
    later: list[tuple[Ticket, int, bool]]


class Leader:
    """One leadership of one cell, from take-over until `run` returns or raises."""

    def __init__(
        self,
        engine: Engine,
        leadership: Leadership,
        chain: bytes,
        writer: Writer,
        reader: Connection,
        limits: tuple[int, int],
        committed: Callable[[Batch], None],
        poisoned: Command | None = None,
        failpoints: Failpoints = NONE,
    ) -> None:
        self.engine = engine
        self.leadership = leadership
        self.chain = chain
        self.writer = writer
        self.row_writer = RowWriter(engine.market, engine.asset)
        self.tables = Tables(answers.prepared(reader), engine.cell, engine.market)
        self.batch_commands, self.queue_commands = limits
        self.committed = committed
        self.poisoned = poisoned
        self.waiting: deque[Ticket] = deque()
        self.arrived = asyncio.Event()
        self.in_flight: asyncio.Task[None] | None = None
        self.late: set[asyncio.Task[None]] = set()
        self.open_tickets: dict[int, list[Ticket]] = {}
        self.is_stopping = False
        self.writing = ThreadPoolExecutor(1, "commit")
        self.reading = ThreadPoolExecutor(1, "look-up")
        self._match = failpoints.around("match", self.match)
        self._applied = failpoints.around("apply", engine.apply)
        self._commit = failpoints.around("commit", writer.commit)
        self._acknowledge = failpoints.around("acknowledge", acknowledge)

    def submit(self, submission: Submission) -> None:
        """Queue every command, or refuse the whole where the bound is reached."""
        request = submission.request
        if self.is_stopping or len(self.waiting) + len(request.commands) > self.queue_commands:
            submission.fail("unavailable" if self.is_stopping else "busy", "none")
            return
        for place, command in enumerate(request.commands):
            self.waiting.append(Ticket(submission, place, command))
        self.arrived.set()

    async def run(self) -> None:
        """Serve until `stop`; raise what ended it otherwise, when everyone who waited has been told."""
        try:
            await self._journal_poisoned()
            while not (self.is_stopping and not self.waiting):
                await self._next_batch()
            if self.in_flight:
                await self.in_flight
        finally:
            await self._give_up()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what waits is answered."""
        self.is_stopping = True
        self.arrived.set()

    async def _journal_poisoned(self) -> None:
        """Give the command that an earlier memory could not apply its sequence, without applying it."""
        command = self.poisoned
        if command is None:
            return
        time = max(self.leadership.now(), self.engine.time)
        events = self.engine.apply_poisoned(command, time)
        batch = self._batch([Journaled(self.engine.sequence, time, command, poisoned=True)], [events])
        await self._commit_and_answer(Matched([], batch, [], []))

    async def _next_batch(self) -> None:
        await self._wait_for_work()
        tickets = self._take()
        if not tickets:
            return
        known = await self._look_up(tickets)
        matched = self._match(tickets, known)
        if self.in_flight:
            await self.in_flight
        self.in_flight = asyncio.create_task(self._commit_and_answer(matched))

    def _take(self) -> list[Ticket]:
        waiting = self.waiting
        tickets = [waiting.popleft() for _ in range(min(len(waiting), self.batch_commands))]
        for ticket in tickets:
            ticket.submission.is_taken = True
        if tickets:
            self.open_tickets[id(tickets)] = tickets
        return tickets

    async def _wait_for_work(self) -> None:
        """Wait for a command, or for the commit in flight to fail."""
        if self.waiting or self.is_stopping:
            return
        self.arrived.clear()
        if self.in_flight is None:
            await self.arrived.wait()
            return
        arrival = asyncio.create_task(self.arrived.wait())
        try:
            await asyncio.wait({arrival, self.in_flight}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
        if self.in_flight.done():
            self.in_flight.result()
            self.in_flight = None

    async def _look_up(self, tickets: list[Ticket]) -> dict[str, int]:
        searched = [
            ticket.command
            for ticket in tickets
            if (key := answers.key_of(ticket.command)) is not None and not self.engine.remembers(key)
        ]
        if not searched:
            return {}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.reading, answers.known_sequences, self.tables, searched)

    def match(self, tickets: list[Ticket], known: dict[str, int]) -> Matched:
        """Sequence and apply each command; what was applied before, or leaves no trace, is not sequenced."""
        journaled: list[Journaled] = []
        events: list[list[Event]] = []
        matched = Matched(tickets, None, [], [])
        time = max(self.leadership.now(), self.engine.time)
        for ticket in tickets:
            command = ticket.command
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
                journaled.append(Journaled(self.engine.sequence, time, command))
                events.append(happened)
                self._note_answer(matched, ticket, time, happened)
        if journaled:
            matched.batch = self._batch(journaled, events)
        return matched

    def _verdict(self, command: Command, known: dict[str, int]) -> Refusal | int | None:
        """Return the sequence of an earlier application, a refusal without trace, or None."""
        key = answers.key_of(command)
        if key is not None and key in known:
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
        elif isinstance(command, CancelOrder):
            if isinstance(events[0], CommandRefused) and events[0].code == "order.not_cancelable":
                matched.later.append((ticket, engine.sequence, False))
                return
            refused = isinstance(events[0], CommandRefused)
            order_now = None if refused else engine.subject()
            answer = answers.events_answer(engine.sequence, time, command, events, order_now)
        else:
            answer = answers.events_answer(engine.sequence, time, command, events)
        matched.ready.append((ticket, answer))

    def _batch(self, journaled: list[Journaled], events: list[list[Event]]) -> Batch:
        rows = self.row_writer.rows_of(journaled, events, self.engine.take_changes())
        batch = journal.batch_of(self.engine.cell, self.leadership.epoch, self.chain, journaled, events, rows)
        self.chain = batch.chain
        return batch

    async def _commit_and_answer(self, matched: Matched) -> None:
        batch = matched.batch
        if batch is not None:
            await asyncio.get_running_loop().run_in_executor(self.writing, self._commit, batch)
        self._acknowledge(matched)
        if batch is not None:
            self.committed(batch)
        if matched.later:
            task = asyncio.create_task(self._answer_later(matched))
            self.late.add(task)
            task.add_done_callback(self.late.discard)
        else:
            self.open_tickets.pop(id(matched.tickets), None)

    async def _answer_later(self, matched: Matched) -> None:
        """Answer from the tables what is about something done before; the batch they came in is committed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self.reading, self._answers_from_tables, matched.later)
        except psycopg2.Error as error:
            logger.warning("copies could not be answered", extra={"why": str(error)})
            for ticket, _, _ in matched.later:
                ticket.submission.fail("unavailable", "unknown")
            self.stop()
        else:
            for (ticket, _, _), answer in zip(matched.later, found, strict=True):
                ticket.submission.answer(ticket.place, answer)
        self.open_tickets.pop(id(matched.tickets), None)

    def _answers_from_tables(self, later: list[tuple[Ticket, int, bool]]) -> list[Answer]:
        found = []
        for ticket, sequence, is_copy in later:
            command = ticket.command
            if is_copy:
                found.append(answers.copy_answer(self.tables, command, sequence))
            else:
                assert isinstance(command, CancelOrder)
                found.append(answers.refused_cancel(self.tables, command, sequence))
        return found

    async def _give_up(self) -> None:
        """Tell everyone who waits: what was never taken did not happen, the rest is not known here."""
        self.is_stopping = True
        unfinished = {task for task in (self.in_flight, *self.late) if task and not task.done()}
        if unfinished:
            await asyncio.wait(unfinished, timeout=GIVE_UP_S)
        for ticket in self.waiting:
            ticket.submission.fail("unavailable", "unknown" if ticket.submission.is_taken else "none")
        self.waiting.clear()
        for ticket in [ticket for tickets in self.open_tickets.values() for ticket in tickets]:
            ticket.submission.fail("unavailable", "unknown")
        self.open_tickets.clear()
        self.writing.shutdown(wait=False)
        self.reading.shutdown(wait=False)


def acknowledge(matched: Matched) -> None:
    """Tell those whose answers are ready; their batch is committed."""
    for ticket, answer in matched.ready:
        ticket.submission.answer(ticket.place, answer)
