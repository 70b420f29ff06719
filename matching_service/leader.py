"""The leader's loop: take what waits, sequence and match it, commit it, and only then answer.

While one batch commits the next one is looked up and matched. Nothing is answered before everything up to the
sequence at which it was computed is committed, and there is no undo: after a failure the memory is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from exchange.commands import AmendOrder, CancelOrder, Command
from exchange.wire import Answer
from matching_service import answers, lease
from matching_service.answers import Tables
from matching_service.failpoints import NONE, Failpoints
from matching_service.journal import Batch, Fenced, Writer
from matching_service.lease import LeaseTime
from matching_service.sequencing import Matched, Sequencer
from matching_service.submissions import Submission, Ticket

GIVE_UP_S = 2.0

logger = logging.getLogger(__name__)


class Leader:
    """One leadership of one cell, from take-over until `run` returns or raises."""

    def __init__(
        self,
        sequencer: Sequencer,
        writer: Writer,
        reader: Connection,
        lease_time: LeaseTime,
        limits: tuple[int, int],
        committed: Callable[[Batch], None],
        poisoned: Command | None = None,
        failpoints: Failpoints = NONE,
    ) -> None:
        self.sequencer = sequencer
        self.engine = engine = sequencer.engine
        self.writer = writer
        self.tables = Tables(reader, engine.cell, engine.market)
        self.lease_time = lease_time
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
        self._match = failpoints.around("match", sequencer.match)
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

    def admit(self, submissions: list[Submission]) -> None:
        """Queue what waited for a leader, one command each; it is read no faster than it is committed."""
        for submission in submissions:
            if self.is_stopping:
                submission.fail("unavailable", "none")
            else:
                self.waiting.append(Ticket(submission, 0, submission.request.commands[0]))
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
        """Commit the command that an earlier memory could not apply, as what it is."""
        if self.poisoned is not None:
            await self._commit_and_answer(Matched([], self.sequencer.poisoned(self.poisoned), [], []))

    async def _next_batch(self) -> None:
        await self._wait_for_work()
        tickets = self._take()
        if not tickets and not self.sequencer.is_time_due():
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
        """Wait for a command, for a timer to be due, or for the commit in flight to fail."""
        if self.waiting or self.is_stopping or self.sequencer.is_time_due():
            return
        self.arrived.clear()
        arrival = asyncio.create_task(self.arrived.wait())
        awaited: set[asyncio.Task[Any]] = {arrival, self.in_flight} if self.in_flight else {arrival}
        try:
            await asyncio.wait(awaited, timeout=self.sequencer.seconds_to_timer(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
        if self.in_flight and self.in_flight.done():
            self.in_flight.result()
            self.in_flight = None

    async def _look_up(self, tickets: list[Ticket]) -> dict[str, int]:
        searched = [
            ticket.command
            for ticket in tickets
            if any(not self.engine.remembers(key) for key in answers.keys_of(ticket.command))
        ]
        if not searched:
            return {}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.reading, answers.known_sequences, self.tables, searched)

    async def _commit_and_answer(self, matched: Matched) -> None:
        batch, loop = matched.batch, asyncio.get_running_loop()
        if batch is not None:
            await loop.run_in_executor(self.writing, self._commit, batch)
        elif matched.ready:
            await loop.run_in_executor(self.reading, self._confirm)
        if not self.lease_time.is_ours():
            await self.lease_time.until_ours()
        self._acknowledge(matched)
        if batch is not None:
            self.committed(batch)
        if matched.later:
            task = asyncio.create_task(self._answer_later(matched))
            self.late.add(task)
            task.add_done_callback(self.late.discard)
        else:
            self.open_tickets.pop(id(matched.tickets), None)

    def _confirm(self) -> None:
        """Raise `Fenced` when another has taken over: what no batch is committed for may be stale then."""
        if not lease.is_current(self.tables.connection, self.engine.cell, self.sequencer.leadership.epoch):
            raise Fenced("another leader has the cell")

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
                assert isinstance(command, CancelOrder | AmendOrder)
                found.append(answers.refused_change(self.tables, command, sequence))
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
