"""What stops a cell, each planted: a balance below zero, an order with less than nothing left, a crossed book."""

import pytest

from exchange.commands import CancelOrder, ChangeMarket, Journaled
from exchange.markets import MarketStatus
from exchange.orders import Side
from matching_service.engine import Engine
from matching_service.invariants import Violation
from tests.engines import SYMBOL, TIME, Desk, at_market, buy, sell


@pytest.fixture
def engine() -> Engine:
    desk = Desk()
    desk.do(sell("s", "alice", 5, 101))
    desk.do(buy("b", "bob", 5, 99))
    return desk.engine


def test_a_sound_batch_passes(engine: Engine) -> None:
    engine.assert_sound(engine.take_changes())


def test_an_order_by_quote_quantity_counts_down_from_nothing(engine: Engine) -> None:
    engine.apply(at_market("m", "bob", Side.BUY, quote=303), TIME)

    changes = engine.take_changes()
    assert [order.filled_lots for order in changes.orders if order.placed.order_id == "m"] == [3]
    engine.assert_sound(changes)


def test_an_order_by_quote_quantity_that_filled_less_than_nothing_is_a_violation(engine: Engine) -> None:
    engine.apply(at_market("m", "bob", Side.BUY, quote=303), TIME)
    changes = engine.take_changes()
    changes.orders[-1].remaining_lots = 4

    with pytest.raises(Violation, match="m has 4 lots left"):
        engine.assert_sound(changes)


def test_a_balance_below_zero_is_a_violation(engine: Engine) -> None:
    engine._state.accounts.balance("alice", "BTC").held = -1

    with pytest.raises(Violation, match="alice has"):
        engine.assert_sound(engine.take_changes())


def test_an_order_with_less_than_nothing_left_is_a_violation(engine: Engine) -> None:
    changes = engine.take_changes()
    changes.orders[-1].remaining_lots = -1

    with pytest.raises(Violation, match="has -1 lots left"):
        engine.assert_sound(changes)


def test_a_crossed_book_is_a_violation(engine: Engine) -> None:
    changes = engine.take_changes()
    bid = next(order for order in changes.orders if order.placed.account_id == "bob")
    book = engine._state.markets[SYMBOL].book
    book.bids.keys[-1], book.bids.levels[102] = 102, book.bids.levels.pop(99)
    bid.key = 102

    with pytest.raises(Violation, match="the book of BTC-USD is crossed"):
        engine.assert_sound(changes)


def test_a_book_that_an_auction_left_crossed_is_no_violation_while_only_cancels_are_taken() -> None:
    desk = Desk(status=MarketStatus.AUCTION)
    desk.do(sell("s", "alice", 5, 99))
    desk.do(buy("b", "bob", 5, 101))
    desk.do(sell("t", "alice", 5, 98))
    desk.do(ChangeMarket("r", SYMBOL, status=MarketStatus.CANCEL_ONLY))
    desk.engine.take_changes()
    desk.do(CancelOrder("x", "alice", "s"))

    desk.engine.assert_sound(desk.engine.take_changes())


def test_scrubbing_finds_the_one_record_that_no_command_has_made_so(engine: Engine) -> None:
    engine.take_changes()
    followed = engine.state_hash()
    assert followed.scrub(1000) is None
    engine._state.accounts.balance("bob", "USD").available ^= 1

    found = [followed.scrub(3) for _ in range(10)]

    assert set(found) == {None, "balance/bob/USD"}


def test_scrubbing_passes_what_commands_have_changed_meanwhile(engine: Engine) -> None:
    engine.take_changes()
    followed = engine.state_hash()
    followed.scrub(2)
    order = buy("c", "bob", 1, 98)
    engine.apply(order, TIME + 1)
    followed.update([Journaled(engine.sequence, TIME + 1, order)], engine.take_changes())

    assert [followed.scrub(3) for _ in range(20)] == [None] * 20
