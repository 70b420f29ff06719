"""Orders that expire: when, in which order, and that nothing trades with them after."""

from exchange.markets import MarketStatus
from exchange.orders import OrderStatus, Side, TimeInForce
from matching_service.engine import Engine
from tests.engines import TIME, Desk, accepted, buy, canceled, kinds, sell, stop

BUY, SELL = Side.BUY, Side.SELL
GTD, DAY = TimeInForce.GTD, TimeInForce.DAY
MIDNIGHT = 1_763_856_000_000_000
"""2025-11-23T00:00:00Z, the first one after TIME."""


def test_a_gtd_order_rests_until_its_time_and_expires_then() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 3, 100, GTD, expire_time=TIME + 10))

    before = desk.advance_to(TIME + 9)
    due = desk.engine.next_timer()
    after = desk.advance_to(TIME + 10)

    assert (before, due) == ([], TIME + 10)
    assert after == [canceled("1-a", "alice", SELL, 100, 3, 3, "expired", (1000, 0))]
    assert desk.engine.take_changes().orders[-1].status is OrderStatus.EXPIRED
    assert desk.engine.next_timer() is None


def test_a_day_order_expires_at_the_next_midnight_in_utc() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 3, 100, DAY))

    assert desk.engine.next_timer() == MIDNIGHT
    assert desk.advance_to(MIDNIGHT - 1) == []
    assert kinds(desk.advance_to(MIDNIGHT)) == ["OrderCanceled"]


def test_a_day_order_entered_at_midnight_has_the_whole_day() -> None:
    desk = Desk("alice", funds=1000)
    desk.advance_to(MIDNIGHT)

    desk.do(sell("1-a", "alice", 3, 100, DAY))

    assert desk.engine.next_timer() == MIDNIGHT + 86_400_000_000


def test_orders_expire_in_order_of_their_time_and_then_of_their_age() -> None:
    desk = Desk("alice", funds=1000)
    for name, after in (("late", 9), ("second", 5), ("third", 5), ("first", 4)):
        desk.do(sell(f"1-{name}", "alice", 1, 100, GTD, expire_time=TIME + after))

    events = desk.advance_to(TIME + 20)

    assert [getattr(event, "order_id", None) for event in events] == ["1-first", "1-second", "1-third", "1-late"]


def test_an_order_whose_time_is_over_on_arrival_is_accepted_and_expired_without_a_trade() -> None:
    desk = Desk("alice bob", funds=1000)
    desk.do(sell("1-a", "alice", 3, 100))

    events = desk.do(buy("1-b", "bob", 3, 100, GTD, expire_time=TIME))

    assert events == [
        accepted("1-b", "bob", BUY, 100, resting=0, available=1000, held=0),
        canceled("1-b", "bob", BUY, 100, 3, 0, "expired", (1000, 0)),
    ]


def test_a_waiting_order_expires_as_well() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(stop("1-s", "alice", SELL, 3, 90, tif=GTD, expire_time=TIME + 10))

    events = desk.advance_to(TIME + 10)

    assert events == [canceled("1-s", "alice", SELL, None, 3, 0, "expired", (1000, 0))]


def test_orders_expire_in_a_halted_market_too() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 3, 100, GTD, expire_time=TIME + 10))
    desk.change(status=MarketStatus.HALTED)

    assert kinds(desk.advance_to(TIME + 10)) == ["OrderCanceled"]


def test_one_command_lets_at_most_1000_orders_expire_and_the_next_one_goes_on() -> None:
    desk = Desk("alice bob")
    for number in range(1001):
        account = ("alice", "bob")[number % 2]
        desk.do(sell(f"1-{number}", account, 1, 100, GTD, expire_time=TIME + 10))

    first = desk.advance_to(TIME + 10)
    owed = desk.engine.next_timer()
    second = desk.advance_to(TIME + 11)

    assert (len(first), owed, len(second)) == (1000, TIME + 10, 1)


def test_a_restored_engine_lets_the_same_orders_expire() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(sell("1-a", "alice", 1, 100, DAY))
    desk.do(sell("1-b", "alice", 1, 100, GTD, expire_time=TIME + 10))

    again = Desk("alice", funds=1000)
    again.engine = Engine.restore(desk.engine.snapshot())

    assert again.engine.next_timer() == TIME + 10
    assert again.advance_to(MIDNIGHT) == desk.advance_to(MIDNIGHT)
