"""Batches of one leadership: which carry the full hash, and which begin with time going on."""

from collections.abc import Iterator

from exchange import wire
from exchange.commands import AdvanceTime, CancelOrder, Command
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Engine
from matching_service.journal import GENESIS, Batch
from matching_service.lease import Leadership
from matching_service.replica import Loaded
from matching_service.sequencing import Sequencer
from matching_service.submissions import Submission, Ticket
from tests.checkers.hashes import full_hash
from tests.engines import SYMBOL, TIME, Desk, buy, kinds, sell


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


class Clock(Leadership, frozen=True):
    """A leadership whose clock stands still."""

    def now(self) -> int:
        """The time it began at."""
        return self.database_time


def at(sequencer: Sequencer, time: int) -> None:
    sequencer.leadership = Clock(1, 0, time, 0)


def test_a_batch_begins_with_time_going_on_when_a_timer_is_due_and_only_then() -> None:
    desk = Desk()
    desk.do(buy("1-a", "alice", 1, 100, TimeInForce.GTD, expire_time=TIME + 1_000_000))
    sequencer = sequencer_of(desk.engine)

    at(sequencer, TIME + 999_999)
    early = sequencer.match(tickets(CancelOrder("x-1", "bob", "none")), {}).batch
    is_early, seconds = sequencer.is_time_due(), sequencer.seconds_to_timer()
    at(sequencer, TIME + 1_000_000)
    is_due, no_seconds = sequencer.is_time_due(), sequencer.seconds_to_timer()
    due = sequencer.match(tickets(CancelOrder("x-2", "bob", "none")), {}).batch

    assert early is not None and [type(entry.command) for entry in early.journaled] == [CancelOrder]
    assert (is_early, seconds, is_due, no_seconds) == (False, 0.000_001, True, 0.0)
    assert due is not None and [type(entry.command) for entry in due.journaled] == [AdvanceTime, CancelOrder]
    assert kinds(due.events[0]) == ["TimeAdvanced", "OrderCanceled"]
    assert not sequencer.is_time_due() and sequencer.seconds_to_timer() is None


def test_triggers_beyond_the_bound_of_a_command_are_owed_by_the_next_batch_whatever_it_holds() -> None:
    accounts = [f"a{number}" for number in range(3)]
    desk = Desk(" ".join(["bob", *accounts]), funds=10**9)
    desk.do(sell("1-ask", "bob", 5_000, 100))
    desk.do(buy("1-last", "a0", 1, 100))
    for number in range(1_500):
        stop = (OrderType.STOP, 1, None, TimeInForce.GTC)
        name = f"1-{number}"
        desk.do(PlaceOrder(name, accounts[number % 3], name, SYMBOL, Side.BUY, *stop, stop_price_ticks=101))
    desk.do(sell("1-dearer", "bob", 1, 101))
    sequencer = sequencer_of(desk.engine)
    at(sequencer, TIME + 1)
    setting_off = sequencer.match(tickets(buy("1-through", "a0", 5_000, 101)), {}).batch

    is_owed = sequencer.is_time_due()
    following = sequencer.match([], {}).batch

    assert setting_off is not None and kinds(setting_off.events[0]).count("OrderTriggered") < 1_500
    assert is_owed and following is not None
    assert type(following.journaled[0].command) is AdvanceTime
    assert "OrderTriggered" in kinds(following.events[0])
