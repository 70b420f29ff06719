"""Icebergs: what they show, where the next slice stands, and who counts what is hidden."""

from exchange.commands import CancelOrder
from exchange.events import OrderReplenished, Trade
from exchange.orders import Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import SYMBOL, Desk, accepted, buy, canceled, kinds, reason_of, sell

BUY, SELL = Side.BUY, Side.SELL
FOK = TimeInForce.FOK


def makers(desk: Desk, taker: str, lots: int, at: int = 100) -> list[tuple[str, int]]:
    """Whom a buying taker trades with, in order, and for how many lots."""
    events = desk.do(buy(taker, "bob", lots, at))
    return [(event.maker_order_id, event.quantity_lots) for event in events if isinstance(event, Trade)]


def test_an_iceberg_holds_all_it_has_and_shows_a_slice() -> None:
    desk = Desk("alice", funds=1000)

    events = desk.do(sell("1-a", "alice", 10, 100, display_lots=3))

    assert events == [accepted("1-a", "alice", SELL, 100, resting=3, available=990, held=10)]


def test_a_slice_that_is_used_up_is_followed_by_the_next_one() -> None:
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))

    events = desk.do(buy("1-b", "bob", 3, 100))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=700, held=0),
        Trade(
            SYMBOL, "1-a", "alice", "1-b", "bob", BUY, 100, 3, 300, 0, 0, 4, 0,
            993, 4, 1300, 0, 1003, 0, 700, 0, 0, 0,
        ),
        OrderReplenished("1-a", "alice", SYMBOL, SELL, 100, 3),
    ]  # fmt: skip


def test_a_slice_that_is_traded_in_part_keeps_its_place() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))
    desk.do(sell("1-c", "carol", 5, 100))

    first = makers(desk, "1-b", 2)
    second = makers(desk, "1-d", 2)

    assert (first, second) == ([("1-a", 2)], [("1-a", 1), ("1-c", 1)])


def test_the_next_slice_stands_behind_all_others_at_its_price() -> None:
    desk = Desk()
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))
    desk.do(sell("1-c", "carol", 2, 100))
    desk.do(sell("1-d", "carol", 2, 101))

    assert makers(desk, "1-b", 10, 101) == [("1-a", 3), ("1-c", 2), ("1-a", 3), ("1-a", 1), ("1-d", 1)]


def test_two_icebergs_take_turns_slice_by_slice() -> None:
    desk = Desk()
    desk.do(sell("1-a", "alice", 5, 100, display_lots=2))
    desk.do(sell("1-c", "carol", 5, 100, display_lots=3))

    assert makers(desk, "1-b", 10) == [("1-a", 2), ("1-c", 3), ("1-a", 2), ("1-c", 2), ("1-a", 1)]


def test_an_iceberg_that_trades_on_arrival_shows_a_slice_of_what_remains() -> None:
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-a", "alice", 2, 100))

    events = desk.do(buy("1-b", "bob", 7, 100, display_lots=4))

    assert kinds(events) == ["OrderAccepted", "Trade"]
    assert events[0] == accepted("1-b", "bob", BUY, 100, resting=4, available=300, held=500)


def test_a_fok_order_counts_the_hidden_quantity() -> None:
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))

    assert reason_of(desk.do(buy("1-b", "bob", 8, 100, FOK))) == "fok_unfilled"
    assert kinds(desk.do(buy("1-c", "bob", 7, 100, FOK)))[0:2] == ["OrderAccepted", "Trade"]


def test_a_canceled_iceberg_takes_what_it_shows_out_of_the_book_and_gives_back_all_it_holds() -> None:
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))
    desk.do(buy("1-b", "bob", 1, 100))

    events = desk.do(CancelOrder("r", "alice", "1-a"))

    assert events == [canceled("1-a", "alice", SELL, 100, 6, 2, "user", (999, 0))]


def test_a_restored_iceberg_shows_what_is_left_of_its_slice_where_it_stood() -> None:
    desk = Desk()
    desk.do(sell("1-a", "alice", 7, 100, display_lots=3))
    desk.do(sell("1-c", "carol", 2, 100))
    desk.do(buy("1-b", "bob", 4, 100))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    record = again.record("1-a")
    assert record is not None
    assert (record.displayed_lots, record.remaining_lots) == (3, 4)
    desk.engine = again
    assert makers(desk, "1-d", 2) == [("1-c", 1), ("1-a", 1)]
