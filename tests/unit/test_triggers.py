"""The waiting orders of a market: found by price, whichever way it comes, and each once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.orders import OrderType, PlaceOrder, Side
from matching_service.accounts import Balance, Trader
from matching_service.book import Order
from matching_service.triggers import Triggers
from tests.engines import stop, trailing

BUY, SELL = Side.BUY, Side.SELL
TRADER = Trader("alice", Balance("alice", "BTC"), Balance("alice", "USD"))


def waiting(placed: PlaceOrder, priority: int = 0) -> Order:
    return Order(placed, 0, TRADER, 0, 1, 0, priority, 0, 0, 0, is_waiting=True)


def due_ids(triggers: Triggers) -> list[str]:
    found = []
    while triggers.has_due():
        found.append(triggers.take_due().placed.order_id)
    return found


def test_only_those_are_due_whose_price_was_reached() -> None:
    triggers = Triggers()
    for number, (name, side, price, kind) in enumerate(
        (
            ("stop sell", SELL, 95, None),
            ("lower stop sell", SELL, 94, None),
            ("stop buy", BUY, 95, None),
            ("higher stop buy", BUY, 96, None),
            ("take profit sell", SELL, 95, OrderType.TAKE_PROFIT),
            ("higher take profit sell", SELL, 96, OrderType.TAKE_PROFIT),
            ("take profit buy", BUY, 95, OrderType.TAKE_PROFIT),
            ("lower take profit buy", BUY, 94, OrderType.TAKE_PROFIT),
        )
    ):
        triggers.add(waiting(stop(name, "alice", side, 1, price, kind=kind), number), None)

    changed = triggers.see(95)

    assert due_ids(triggers) == ["stop sell", "stop buy", "take profit sell", "take profit buy"]
    assert all(order.trigger_ticks is None for order in changed)
    assert triggers.count == 4


def test_a_price_that_reaches_and_moves_nothing_changes_nothing() -> None:
    triggers = Triggers()
    triggers.add(waiting(stop("s", "alice", SELL, 1, 95)), 100)
    triggers.add(waiting(trailing("t", "alice", SELL, 1, 10)), 100)
    triggers.add(waiting(trailing("u", "alice", BUY, 1, 10)), 100)

    assert triggers.see(100) == []


def test_a_trailing_order_moves_with_a_new_best_price_only() -> None:
    triggers = Triggers()
    sells, buys = waiting(trailing("t", "alice", SELL, 1, 10)), waiting(trailing("u", "alice", BUY, 1, 10))
    for order in (sells, buys):
        triggers.add(order, 100)

    moved = [[order.placed.order_id for order in triggers.see(price)] for price in (101, 100, 99, 100)]

    assert moved == [["t"], [], ["u"], []]
    assert (sells.trigger_ticks, buys.trigger_ticks) == (91, 109)


def test_an_order_that_waits_no_longer_is_not_found_wherever_it_stood() -> None:
    triggers = Triggers()
    unpriced, trails, stops, due = (
        waiting(trailing("unpriced", "alice", SELL, 1, 10)),
        waiting(trailing("trails", "alice", SELL, 1, 10)),
        waiting(stop("stops", "alice", SELL, 1, 95)),
        waiting(stop("due", "alice", SELL, 1, 100)),
    )
    triggers.add(unpriced, None)
    triggers.remove(unpriced)
    for order in (trails, stops, due):
        triggers.add(order, 101)
    triggers.see(100)
    for order in (trails, stops, due):
        triggers.remove(order)

    assert triggers.see(1) == []
    assert not triggers.has_due()
    assert triggers.count == 0


def test_a_restored_order_stands_where_it_stood() -> None:
    triggers = Triggers()
    unpriced, moved, due = (waiting(trailing(name, "alice", SELL, 1, 10)) for name in ("unpriced", "moved", "due"))
    moved.trigger_ticks = 95
    triggers.restore(unpriced, None)
    triggers.restore(moved, 100)
    triggers.restore(due, 100)

    changed = triggers.see(106)

    assert [(order.placed.order_id, order.trigger_ticks) for order in changed] == [("unpriced", 96), ("moved", 96)]
    assert due_ids(triggers) == ["due"]


def test_a_trailing_order_that_has_seen_its_first_price_trails_from_then_on() -> None:
    triggers = Triggers()
    order = waiting(trailing("t", "alice", SELL, 1, 10))
    triggers.add(order, None)

    moved = [len(triggers.see(price)) for price in (100, 98, 101)]

    assert moved == [1, 0, 1]
    assert order.trigger_ticks == 91


def test_a_trailing_order_that_was_removed_follows_no_price() -> None:
    triggers = Triggers()
    order = waiting(trailing("t", "alice", SELL, 1, 10))
    triggers.add(order, 100)

    triggers.remove(order)

    assert triggers.see(120) == []
    assert order.trigger_ticks == 90


def test_a_trailing_order_that_became_due_follows_no_price() -> None:
    triggers = Triggers()
    order = waiting(trailing("t", "alice", SELL, 1, 10))
    triggers.add(order, 100)
    triggers.see(90)

    assert triggers.see(120) == []
    assert order.trigger_ticks is None


def test_a_trailing_order_whose_trigger_moved_becomes_due_once() -> None:
    triggers = Triggers()
    triggers.add(waiting(trailing("t", "alice", SELL, 1, 10)), 100)

    triggers.see(105)
    triggers.see(95)
    triggers.take_due()

    assert triggers.see(80) == []
    assert not triggers.has_due()


def test_the_oldest_of_those_that_are_due_comes_first_whoever_left() -> None:
    triggers = Triggers()
    orders = [
        waiting(stop(str(priority), "alice", SELL, 1, price), priority)
        for priority, price in ((0, 99), (3, 98), (1, 97))
    ]
    for order in orders:
        triggers.add(order, 100)
    for price in (99, 98, 97):
        triggers.see(price)

    triggers.remove(orders[0])

    assert due_ids(triggers) == ["1", "3"]


def test_of_two_orders_at_one_price_the_other_stays_when_one_is_removed() -> None:
    triggers = Triggers()
    first, second = waiting(stop("a", "alice", SELL, 1, 95)), waiting(stop("b", "alice", SELL, 1, 95), 1)
    for order in (first, second):
        triggers.add(order, 100)

    triggers.remove(first)
    triggers.see(95)

    assert due_ids(triggers) == ["b"]


def test_the_count_follows_every_way_in_and_out() -> None:
    triggers = Triggers()
    stops, restored = waiting(stop("a", "alice", SELL, 1, 95)), waiting(stop("b", "alice", SELL, 1, 94), 1)
    restored.trigger_ticks = 94
    counts = []

    triggers.add(stops, 100)
    triggers.restore(restored, 100)
    counts.append(triggers.count)
    triggers.see(95)
    counts.append(triggers.count)
    due = triggers.take_due()
    counts.append(triggers.count)
    triggers.put_back(due)
    counts.append(triggers.count)
    triggers.remove(restored)
    counts.append(triggers.count)

    assert counts == [2, 2, 1, 2, 1]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(80, 120)), max_size=30),
    st.lists(st.integers(80, 120), min_size=1, max_size=10),
)
def test_every_order_becomes_due_with_the_first_price_that_reaches_it(
    orders: list[tuple[bool, bool, int]], prices: list[int]
) -> None:
    triggers = Triggers()
    reached: dict[str, int] = {}
    for number, (buys, takes, price) in enumerate(orders):
        kind = OrderType.TAKE_PROFIT if takes else OrderType.STOP
        placed = stop(str(number), "alice", BUY if buys else SELL, 1, price, kind=kind)
        triggers.add(waiting(placed, number), None)
        rises = buys is not takes
        reached[str(number)] = next(
            (step for step, last in enumerate(prices) if (last >= price if rises else last <= price)), -1
        )

    found: dict[str, int] = {}
    for step, last in enumerate(prices):
        triggers.see(last)
        found |= dict.fromkeys(due_ids(triggers), step)

    assert found == {name: step for name, step in reached.items() if step >= 0}
