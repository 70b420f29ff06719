"""Batches of one leadership: which carry the full hash."""

from collections.abc import Iterator

from exchange import wire
from exchange.commands import CancelOrder, Command
from matching_service.engine import Engine
from matching_service.journal import GENESIS, Batch
from matching_service.lease import Leadership
from matching_service.replica import Loaded
from matching_service.sequencing import Sequencer
from matching_service.submissions import Submission, Ticket
from tests.checkers.hashes import full_hash
from tests.engines import TIME, Desk


class Nobody:
    """Whoever does not care for the answer."""

    def reply(self, message: wire.Reply) -> None:
        """Take it."""


def sequencer_of(engine: Engine) -> Sequencer:
    engine.take_changes()
    leadership = Leadership(1, engine.sequence, TIME, 0)
    return Sequencer(Loaded(engine, GENESIS, engine.state_hash()), leadership)


def tickets(*commands: Command) -> list[Ticket]:
    submission = Submission(Nobody(), wire.Submit(1, list(commands)))
    return [Ticket(submission, place, command) for place, command in enumerate(commands)]


def batches(sequencer: Sequencer, count: int, size: int = 1) -> Iterator[Batch]:
    for number in range(count):
        made = sequencer.match(tickets(*(CancelOrder(f"x-{number}-{n}", "alice", "none") for n in range(size))), {})
        assert made.batch is not None
        yield made.batch


def test_the_first_batch_of_a_leadership_carries_the_full_hash_and_the_next_does_not() -> None:
    sequencer = sequencer_of(Desk().engine)

    [first, second] = batches(sequencer, 2)

    assert first.state_hash is not None and second.state_hash is None
    assert sequencer.state_hash.digest() == full_hash(sequencer.engine.state_records())


def test_the_batch_that_holds_the_hundred_thousandth_command_carries_the_full_hash_after_it() -> None:
    sequencer = sequencer_of(Desk().engine)

    carrying = [batch for batch in batches(sequencer, 101, 1000) if batch.state_hash is not None]

    assert [batch.first_sequence <= 100_000 <= batch.last_sequence for batch in carrying] == [False, True]
