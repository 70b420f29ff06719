"""The book: who is met in which order, for how much, and why it ends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.orders import OrderStatus, OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce
from matching_service.accounts import Balance, Trader
from matching_service.book import EAGEREST, MAX_FILLS, MAX_PREVENTIONS, Book, Ending, Order
from tests.engines import SYMBOL, buy, sell

TRADERS = {name: Trader(name, Balance(name, "BTC"), Balance(name, "USD")) for name in ("alice", "bob", "carol")}


def order_of(placed: PlaceOrder) -> Order:
    price_ticks = EAGEREST if placed.price_ticks is None else placed.price_ticks
    key = price_ticks if placed.side is Side.BUY or price_ticks == EAGEREST else -price_ticks
    lots = placed.quantity_lots or 0
    return Order(placed, key, TRADERS[placed.account_id], 0, lots, 0, 0, 0, 0, 0)


def book_of(*placed: PlaceOrder) -> Book:
    book = Book(quote_units_per_tick_lot=1)
    for each in placed:
        book.add(order_of(each))
    return book


def resting(book: Book) -> dict[str, list[str]]:
    """The ids of both sides, best price first, then oldest."""
    return {
        name: [order.placed.order_id for order in side.from_best(-EAGEREST)]
        for name, side in (("bids", book.bids), ("asks", book.asks))
    }


def planned(book: Book, placed: PlaceOrder) -> tuple[list[tuple[str, int]], Ending]:
    fills, ending = book.plan(order_of(placed))
    return [(maker.placed.order_id, lots) for maker, lots in fills], ending


def by_quote(quote: int) -> PlaceOrder:
    return PlaceOrder(
        "taker", "bob", "taker", SYMBOL, Side.BUY, OrderType.MARKET, None, None, TimeInForce.IOC, quote_quantity=quote
    )


def test_taker_fills_the_oldest_maker_first_at_the_best_price() -> None:
    book = book_of(sell("worse", "alice", 5, 101), sell("older", "alice", 5, 100), sell("newer", "alice", 5, 100))

    plan = planned(book, buy("taker", "bob", 7, 101))

    assert plan == ([("older", 5), ("newer", 2)], Ending.DONE)


def test_a_seller_meets_the_highest_bid_first_and_stops_at_its_own_price() -> None:
    book = book_of(buy("low", "alice", 5, 98), buy("high", "alice", 5, 100), buy("middle", "alice", 5, 99))

    plan = planned(book, sell("taker", "bob", 20, 99))

    assert plan == ([("high", 5), ("middle", 5)], Ending.NO_MATCH)


def test_an_order_at_the_price_of_the_best_ask_crosses_and_one_tick_below_does_not() -> None:
    book = book_of(sell("ask", "alice", 5, 100))

    assert planned(book, buy("taker", "bob", 5, 100)) == ([("ask", 5)], Ending.DONE)
    assert planned(book, buy("taker", "bob", 5, 99)) == ([], Ending.NO_MATCH)


def test_a_plan_changes_nothing() -> None:
    book = book_of(sell("ask", "alice", 5, 100), buy("bid", "alice", 5, 90))

    planned(book, buy("taker", "bob", 3, 100))

    assert resting(book) == {"bids": ["bid"], "asks": ["ask"]}
    assert [order.remaining_lots for order in book.asks.from_best(-EAGEREST)] == [5]


def test_a_plan_ends_at_the_first_own_order_even_when_better_priced_strangers_stand_behind_it() -> None:
    book = book_of(sell("first", "alice", 5, 100), sell("own", "bob", 5, 100), sell("behind", "alice", 5, 100))

    plan = planned(book, buy("taker", "bob", 20, 101))

    assert plan == ([("first", 5), ("own", 5)], Ending.OWN_ORDER)


def test_an_order_that_is_full_before_its_own_order_is_done() -> None:
    book = book_of(sell("first", "alice", 5, 100), sell("own", "bob", 5, 100))

    assert planned(book, buy("taker", "bob", 5, 101)) == ([("first", 5)], Ending.DONE)


def test_a_plan_has_at_most_1000_fills() -> None:
    book = book_of(*(sell(f"maker-{number}", "alice", 1, 100) for number in range(MAX_FILLS + 1)))

    fills, ending = planned(book, buy("taker", "bob", MAX_FILLS + 1, 100))

    assert (len(fills), ending) == (1000, Ending.TOO_MANY)


def test_a_plan_of_exactly_1000_fills_is_done() -> None:
    book = book_of(*(sell(f"maker-{number}", "alice", 1, 100) for number in range(MAX_FILLS + 1)))

    fills, ending = planned(book, buy("taker", "bob", MAX_FILLS, 100))

    assert (len(fills), ending) == (1000, Ending.DONE)


def test_a_quote_quantity_buys_whole_lots_level_by_level_while_they_fit() -> None:
    book = book_of(sell("cheap", "alice", 3, 100), sell("dear", "alice", 9, 110))

    assert planned(book, by_quote(300 + 2 * 110 + 109)) == ([("cheap", 3), ("dear", 2)], Ending.DONE)


def test_a_quote_quantity_is_done_when_its_rest_buys_no_lot_at_the_best_ask() -> None:
    book = book_of(sell("cheap", "alice", 3, 100), sell("dear", "alice", 9, 110))

    assert planned(book, by_quote(300 + 109)) == ([("cheap", 3)], Ending.DONE)
    assert planned(book, by_quote(99)) == ([], Ending.DONE)


def test_a_quote_quantity_runs_out_of_makers_only_with_something_left() -> None:
    book = book_of(sell("cheap", "alice", 3, 100))

    assert planned(book, by_quote(300)) == ([("cheap", 3)], Ending.DONE)
    assert planned(book, by_quote(301)) == ([("cheap", 3)], Ending.NO_MATCH)


def test_a_quote_quantity_that_buys_no_lot_of_its_own_order_is_done() -> None:
    book = book_of(sell("cheap", "alice", 3, 100), sell("own", "bob", 3, 110))

    assert planned(book, by_quote(409)) == ([("cheap", 3)], Ending.DONE)
    assert planned(book, by_quote(410)) == ([("cheap", 3), ("own", 1)], Ending.OWN_ORDER)


OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(0, 200)), max_size=300)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_both_sides_stay_in_price_time_order_whoever_leaves(operations: list[tuple[bool, int, int]]) -> None:
    book, model = Book(quote_units_per_tick_lot=1), list[Order]()
    for number, (buys, price, choice) in enumerate(operations):
        if choice % 5 < 3 or not model:
            side = buy if buys else sell
            order = order_of(side(str(number), "alice", 1, price))
            book.add(order)
            model.append(order)
        else:
            left = model.pop(choice % len(model))
            left.ended = OrderStatus.CANCELED
            book.remove(left)

    asks = sorted((o for o in model if o.placed.side is Side.SELL), key=lambda o: o.placed.price_ticks or 0)
    bids = sorted((o for o in model if o.placed.side is Side.BUY), key=lambda o: -(o.placed.price_ticks or 0))
    assert resting(book) == {
        "bids": [order.placed.order_id for order in bids],
        "asks": [order.placed.order_id for order in asks],
    }


@settings(max_examples=100, deadline=None)
@given(OPERATIONS)
def test_those_who_left_never_outnumber_those_who_rest_by_more_than_eight(
    operations: list[tuple[bool, int, int]],
) -> None:
    book, model = Book(quote_units_per_tick_lot=1), list[Order]()
    for number, (_, _, choice) in enumerate(operations):
        if choice % 5 < 3 or not model:
            order = order_of(buy(str(number), "alice", 1, 100))
            book.add(order)
            model.append(order)
        else:
            left = model.pop(choice % len(model))
            left.ended = OrderStatus.CANCELED
            book.remove(left)

        kept = sum(len(level.orders) for level in book.bids.levels.values())
        assert kept <= 2 * len(model) + 8


def test_a_plan_meets_at_most_1000_orders_of_its_own_account() -> None:
    mode = SelfTradePrevention.CANCEL_OLDEST
    book = book_of(*(sell(f"own-{number}", "bob", 1, 100) for number in range(MAX_PREVENTIONS + 1)))

    fills, ending = planned(book, buy("taker", "bob", 1, 100, self_trade_prevention=mode))

    assert (len(fills), ending) == (1000, Ending.TOO_MANY)


def test_1000_own_orders_and_1000_trades_count_apart() -> None:
    mode = SelfTradePrevention.CANCEL_OLDEST
    own = [sell(f"own-{number}", "bob", 1, 100) for number in range(MAX_PREVENTIONS)]
    book = book_of(*own, *(sell(f"maker-{number}", "alice", 1, 100) for number in range(MAX_FILLS)))

    fills, ending = planned(book, buy("taker", "bob", MAX_FILLS, 100, self_trade_prevention=mode))

    assert (len(fills), ending) == (2000, Ending.DONE)


def test_an_order_that_moves_to_the_back_is_met_last_and_leaves_nothing_behind() -> None:
    orders = [order_of(sell(str(number), "alice", 1, 100)) for number in range(4)]
    book = Book(quote_units_per_tick_lot=1)
    for order in orders:
        book.add(order)

    book.move_back(orders[1])
    book.take_out(orders[0])
    book.move_back(orders[2])

    assert resting(book)["asks"] == ["3", "1", "2"]
    for order in (orders[3], orders[1], orders[2]):
        order.ended = OrderStatus.CANCELED
        book.remove(order)
    assert book.asks.keys == []
