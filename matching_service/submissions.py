"""What edges asked and still wait for: submissions of commands, one ticket a command; it knows nothing of engines."""

from typing import Protocol

from msgspec import Struct, structs

from exchange import wire
from exchange.commands import Command
from exchange.wire import Answer

MOST_FILLS = 1000
"""How many fills the answers to one submission carry; a batch of orders may have made fifty times as many."""


class Requester(Protocol):
    """Who asked: a session of the gateway, or whoever else waits for the reply."""

    def reply(self, message: wire.Reply) -> None:
        """Take the one reply to a request."""


class StreamPosition(Struct, frozen=True):
    """The place of one record in the stream `orders`; `created` is when the stream was made, in microseconds."""

    stream: str
    created: int
    shard_id: str
    sequence_number: str


class Submission:
    """One `Submit` on its way: answered when its last command is; one out of the waiting room has a `position`."""

    __slots__ = ("answers", "is_taken", "missing", "position", "request", "requester")

    def __init__(self, requester: Requester, request: wire.Submit, position: StreamPosition | None = None) -> None:
        self.requester = requester
        self.request = request
        self.position = position
        self.answers: list[Answer] = [Answer()] * len(request.commands)
        self.missing = len(request.commands)
        self.is_taken = False

    def answer(self, place: int, answer: Answer) -> None:
        """Set one answer, and reply when it was the last."""
        self.answers[place] = answer
        self.missing -= 1
        if not self.missing:
            self.requester.reply(wire.Answers(self.request.id, within(self.answers)))

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


def within(answers: list[Answer]) -> list[Answer]:
    """Return answers that a frame can hold: the first 1,000 fills, and one more of each answer that has more.

    That one tells the edge that there were more.
    """
    if sum(len(answer.fills) for answer in answers) <= MOST_FILLS:
        return answers
    room = MOST_FILLS
    bounded: list[Answer] = []
    for answer in answers:
        count = len(answer.fills)
        bounded.append(structs.replace(answer, fills=answer.fills[: room + 1]) if count > room else answer)
        room -= min(count, room)
    return bounded
