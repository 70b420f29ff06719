"""Orders that waited for a leader: entered while they may be, and ended by their deadline after that."""

from msgspec.structs import replace

from exchange.commands import AmendOrder, fingerprint
from exchange.events import Event
from exchange.orders import OrderStatus, PlaceOrder, Side, TimeInForce
from matching_service.engine import Copy
from tests.engines import TIME, Desk, accepted, at_market, buy, canceled, kinds, rejected, row, sell

BUY = Side.BUY


def queued(order: PlaceOrder, latest: int, latest_to_take: int) -> PlaceOrder:
    return replace(order, queue_deadlines=(TIME + latest, TIME + latest_to_take))


def at(desk: Desk, order: PlaceOrder, later: int) -> list[Event]:
    assert desk.engine.examine(order) is None
    return desk.engine.apply(order, TIME + later)


def test_an_order_that_waited_no_longer_than_it_may_is_matched_and_keeps_no_trace_of_its_deadline() -> None:
    desk = Desk("alice bob")
    desk.do(sell("1-a", "alice", 2, 100))

    events = at(desk, queued(buy("1-b", "bob", 3, 100), 10, 10), later=10)

    assert kinds(events) == ["OrderAccepted", "Trade"]
    record = desk.engine.record("1-b")
    assert record is not None and record.placed == buy("1-b", "bob", 3, 100)


def test_an_order_that_waited_longer_than_it_may_ends_expired_and_holds_nothing() -> None:
    desk = Desk("alice", funds=1000)

    events = at(desk, queued(buy("1-a", "alice", 2, 100), 10, 10), later=11)

    assert events == [
        accepted("1-a", "alice", BUY, 100, 0, 1000, 0),
        canceled("1-a", "alice", BUY, 100, 2, 0, "queue_deadline", (1000, 0)),
    ]
    assert desk.engine.subject().status is OrderStatus.EXPIRED
    assert desk.open_orders() == []
    assert desk.balance("alice", "USD") == (1000, 0)


def test_an_expired_order_has_used_up_its_id() -> None:
    desk = Desk("alice")
    late = queued(buy("1-a", "alice", 2, 100), 10, 10)
    at(desk, late, later=11)

    assert desk.refused(late) == Copy(desk.engine.sequence)


def test_a_limit_order_past_its_second_deadline_rests_where_it_meets_nobody_and_expires_where_it_would_trade() -> None:
    desk = Desk("alice bob")
    desk.do(sell("1-a", "alice", 2, 100))

    resting = at(desk, queued(buy("1-b", "bob", 1, 99), 60, 10), later=11)
    taking = at(desk, queued(buy("1-c", "bob", 1, 100), 60, 10), later=12)

    assert kinds(resting) == ["OrderAccepted"]
    assert kinds(taking) == ["OrderAccepted", "OrderCanceled"]
    assert desk.open_orders() == ["1-a", "1-b"]


def test_a_market_order_past_its_deadline_expires_without_a_look_at_the_book() -> None:
    desk = Desk("alice bob")
    desk.do(sell("1-a", "alice", 2, 100))

    events = at(desk, queued(at_market("1-b", "bob", BUY, None, quote=500), 10, 10), later=11)

    assert events == [
        accepted("1-b", "bob", BUY, None, 0, 1_000_000, 0),
        canceled("1-b", "bob", BUY, None, None, 0, "queue_deadline", (1_000_000, 0)),
    ]


def test_a_queued_copy_asks_the_same_as_the_order_itself_and_fingerprints_are_those_of_earlier_builds() -> None:
    order = buy("1-a", "alice", 2, 100)

    assert fingerprint(queued(order, 10, 10)) == fingerprint(order)
    assert fingerprint(order).hex() == "4a76d699aa31b6c0d7c2f42472422056"
    assert fingerprint(replace(order, time_in_force=TimeInForce.IOC)) != fingerprint(order)


def test_a_post_only_order_past_the_time_to_take_is_refused_for_crossing_like_any_other() -> None:
    desk = Desk("alice bob")
    desk.do(sell("1-a", "alice", 2, 100))

    events = at(desk, queued(buy("1-b", "bob", 1, 100, post_only=True), 60, 60), later=11)

    assert events == [rejected("1-b", "bob", "order.would_cross")]


def test_an_amendment_that_waited_longer_than_it_may_changes_nothing() -> None:
    desk = Desk("alice")
    desk.do(buy("1-a", "alice", 2, 100))

    late = desk.engine.apply(AmendOrder("x-1", "alice", "1-a", 10**16, None, TIME + 10), TIME + 11)
    soon = desk.engine.apply(AmendOrder("x-2", "alice", "1-a", 10**16, None, TIME + 11), TIME + 11)

    assert row(late[0]) == ("CommandRefused", "engine.refused")
    assert kinds(soon) == ["OrderAmended"]
