"""The price of an auction: the rule by example, and against a search over every price."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from matching_service.clearing import Clearing, clearing
from tests.naive_auctions import naive_price


def test_the_price_of_most_volume_wins() -> None:
    bids, asks = [(103, 5), (101, 10), (100, 20)], [(99, 4), (101, 9), (104, 50)]

    assert clearing(bids, asks, 99) == Clearing(101, 13, 2)


def test_of_prices_with_equal_volume_that_of_least_surplus_wins() -> None:
    bids, asks = [(103, 10), (101, 5)], [(100, 10)]

    assert clearing(bids, asks, 100) == Clearing(102, 10, 0)


def test_of_prices_with_equal_surplus_the_one_closest_to_the_reference_wins() -> None:
    bids, asks = [(110, 5)], [(90, 5)]

    assert clearing(bids, asks, 97) == Clearing(97, 5, 0)
    assert clearing(bids, asks, 80) == Clearing(90, 5, 0)
    assert clearing(bids, asks, 130) == Clearing(110, 5, 0)


def test_a_reference_among_the_best_prices_is_the_price() -> None:
    assert clearing([(104, 5), (100, 5)], [(96, 5), (100, 5)], 100) == Clearing(100, 10, 0)
    assert clearing([(104, 10), (102, 2)], [(100, 10), (104, 2)], 103) == Clearing(103, 10, 0)


def test_a_surplus_of_bids_counts_as_much_as_one_of_asks() -> None:
    bids, asks = [(102, 5), (100, 2)], [(100, 5), (102, 2)]

    assert clearing(bids, asks, 101) == Clearing(101, 5, 0)
    assert clearing([(101, 5), (100, 2)], [(100, 5), (101, 2)], 200) == Clearing(101, 5, -2)
    assert clearing([(101, 5), (100, 2)], [(100, 5), (101, 2)], 1) == Clearing(100, 5, 2)


def test_without_a_reference_the_lower_price_wins() -> None:
    assert clearing([(110, 5)], [(90, 5)], None) == Clearing(90, 5, 0)
    assert clearing([(101, 5), (100, 2)], [(100, 5), (101, 2)], None) == Clearing(100, 5, 2)


def test_where_nothing_crosses_there_is_no_price() -> None:
    assert clearing([], [], 100) is None
    assert clearing([(100, 5)], [], 100) is None
    assert clearing([], [(100, 5)], 100) is None
    assert clearing([(99, 5)], [(100, 5)], 100) is None


def test_levels_that_do_not_cross_are_not_read() -> None:
    bids, asks = iter([(100, 5), (98, 1), (97, 1)]), iter([(99, 5), (101, 1), (102, 1)])

    assert clearing(bids, asks, None) == Clearing(99, 5, 0)
    assert (list(bids), list(asks)) == ([(97, 1)], [(102, 1)])


half = st.dictionaries(st.integers(1, 30), st.integers(1, 9), max_size=8)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(half, half, st.none() | st.integers(1, 40))
def test_the_price_equals_that_of_a_search_over_every_price(
    bid: dict[int, int], ask: dict[int, int], reference: int | None
) -> None:
    bids, asks = sorted(bid.items(), reverse=True), sorted(ask.items())

    found = clearing(bids, asks, reference)

    assert (None if found is None else structs.astuple(found)) == naive_price(bids, asks, reference)
