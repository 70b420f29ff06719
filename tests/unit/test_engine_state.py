"""What the engine holds: sequence and time, what a batch changed, and the state restored."""

import pytest

from exchange.commands import CancelOrder, Command, Transfer
from exchange.events import CommandRefused
from exchange.orders import OrderStatus, OrderType, PlaceOrder, Side, TimeInForce
from matching_service.engine import Copy, Engine
from tests.engines import SYMBOL, TIME, Desk, buy, rejected, sell


def test_every_applied_command_takes_the_next_sequence_and_its_time() -> None:
    engine = Desk("alice").engine
    first = engine.sequence

    engine.apply(buy("1-a", "alice", 1, 100), TIME + 5)
    engine.apply(CancelOrder("r", "alice", "1-x"), TIME + 5)

    assert (engine.sequence, engine.time) == (first + 2, TIME + 5)


def test_engine_time_never_goes_back() -> None:
    engine = Desk("alice").engine

    with pytest.raises(AssertionError):
        engine.apply(buy("1-a", "alice", 1, 100), TIME - 1)


def test_an_order_changed_twice_in_a_batch_is_among_the_changes_once_as_it_is_at_the_end() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))
    desk.do(buy("1-b", "bob", 1, 100))
    desk.do(CancelOrder("r", "alice", "1-a"))

    changes = desk.engine.take_changes()

    assert [(order.placed.order_id, order.status, order.filled_lots) for order in changes.orders] == [
        ("1-a", OrderStatus.CANCELED, 1),
        ("1-b", OrderStatus.FILLED, 1),
    ]
    assert sorted((balance.account_id, balance.asset) for balance in changes.balances) == [
        ("alice", "BTC"), ("alice", "USD"), ("bob", "BTC"), ("bob", "USD"), ("fees", "BTC"), ("fees", "USD"),
    ]  # fmt: skip


def test_an_order_of_an_earlier_batch_is_among_the_changes_again_when_it_trades() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))
    desk.engine.take_changes()

    desk.do(buy("1-b", "bob", 1, 100))

    changed = [order.placed.order_id for order in desk.engine.take_changes().orders]
    assert changed == ["1-b", "1-a"]


def test_a_poisoned_order_takes_a_sequence_and_touches_no_book() -> None:
    desk = Desk("alice", funds=1000)

    events = desk.engine.apply_poisoned(buy("1-a", "alice", 1, 100), TIME)

    assert events == [rejected("1-a", "alice", "engine.refused")]
    assert desk.refused(buy("1-a", "alice", 1, 100)) == Copy(desk.engine.sequence)
    assert desk.balance("alice", "USD") == (1000, 0)


@pytest.mark.parametrize(
    "command", [Transfer("deposit", "alice", "USD", 1, "poison"), CancelOrder("poison", "alice", "1-a")]
)
def test_another_poisoned_command_is_refused_and_its_id_remembered(command: Command) -> None:
    desk = Desk("alice", funds=1000)

    events = desk.engine.apply_poisoned(command, TIME)

    assert events == [CommandRefused("engine.refused", "The engine refused the command.", None)]
    assert desk.refused(command) == Copy(desk.engine.sequence)
    assert desk.balance("alice", "USD") == (1000, 0)


def test_a_restored_engine_has_the_state_and_the_priorities_of_the_live_one() -> None:
    desk = Desk(funds=1000, maker_fee_rate=1_000_000, taker_fee_rate=2_000_000)
    desk.do(sell("1-a", "alice", 5, 100))
    desk.do(sell("1-c", "carol", 5, 100))
    desk.do(buy("1-b", "bob", 2, 100))
    desk.do(CancelOrder("r", "alice", "1-x"))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    following: list[Command] = [buy("1-d", "bob", 6, 100), CancelOrder("r2", "carol", "1-c")]
    for command in following:
        assert again.apply(command, TIME + 1) == desk.engine.apply(command, TIME + 1)
    assert dict(again.state_records()) == dict(desk.engine.state_records())


def test_a_snapshot_stays_as_it_was_taken() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    snapshot = desk.engine.snapshot()
    before = dict(Engine.restore(snapshot).state_records())

    desk.do(CancelOrder("r", "alice", "1-a"))

    assert dict(Engine.restore(snapshot).state_records()) == before


def test_a_state_whose_holds_do_not_fit_its_open_orders_is_not_restored() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    snapshot = desk.engine.snapshot()
    for balance in snapshot.balances:
        balance.held += 1

    with pytest.raises(AssertionError):
        Engine.restore(snapshot)


def test_a_trailing_trigger_that_moves_is_stored_and_no_change_that_anybody_sees() -> None:
    desk = Desk(funds=100_000)
    desk.do(sell("1-a", "alice", 1, 100))
    desk.do(buy("1-b", "bob", 1, 100))
    trailing = (OrderType.TRAILING_STOP, 1, None, TimeInForce.GTC)
    desk.do(PlaceOrder("1-t", "carol", "1-t", SYMBOL, Side.SELL, *trailing, trailing_delta_ticks=10))
    before = desk.engine.record("1-t")
    desk.do(sell("1-c", "alice", 1, 105))
    desk.engine.take_changes()

    desk.do(buy("1-d", "bob", 1, 105))

    after = desk.engine.record("1-t")
    assert before is not None and after is not None
    assert (before.trigger_ticks, after.trigger_ticks) == (90, 95)
    assert (after.sequence, after.updated_time) == (before.sequence, before.updated_time)
    changed = [order.placed.order_id for order in desk.engine.take_changes().orders]
    assert sorted(changed) == ["1-c", "1-d", "1-t"]
