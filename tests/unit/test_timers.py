"""Timers: one queue in order of time, kind and rank."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from matching_service.timers import Kind, Timer, Timers

EXPIRY, AUCTION_END = Kind.EXPIRY, Kind.AUCTION_END


def armed(*timers: Timer) -> Timers:
    queue = Timers()
    for timer in timers:
        queue.arm(timer)
    return queue


def test_the_next_timer_is_the_earliest() -> None:
    queue = armed(Timer(30, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b"), Timer(20, EXPIRY, 3, "c"))

    assert queue.next() == 10


def test_an_empty_queue_has_no_next_timer() -> None:
    assert Timers().next() is None
    assert Timers().take(10, 5) == []


def test_what_is_due_comes_by_time_then_kind_then_rank_and_what_is_not_due_stays() -> None:
    queue = armed(
        Timer(20, EXPIRY, 1, "later"),
        Timer(10, AUCTION_END, 0, "auction"),
        Timer(10, EXPIRY, 7, "young"),
        Timer(10, EXPIRY, 2, "old"),
        Timer(21, EXPIRY, 0, "not due"),
    )

    taken = queue.take(20, 10)

    assert [timer.key for timer in taken] == ["old", "young", "auction", "later"]
    assert (queue.next(), queue.take(20, 10)) == (21, [])


def test_no_more_are_taken_than_asked_for_and_the_rest_stays_due() -> None:
    queue = armed(*(Timer(10, EXPIRY, rank, str(rank)) for rank in range(3)))

    first, rest = queue.take(10, 2), queue.take(10, 2)

    assert [timer.rank for timer in first + rest] == [0, 1, 2]
    assert len(first) == 2
    assert queue.next() is None


def test_a_timer_that_is_disarmed_does_not_fire_and_one_that_has_fired_may_be_disarmed() -> None:
    queue = armed(Timer(10, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b"), Timer(20, EXPIRY, 2, "c"))

    queue.disarm(Timer(10, EXPIRY, 1, "a"))
    queue.disarm(Timer(20, EXPIRY, 2, "c"))
    queue.disarm(Timer(20, EXPIRY, 2, "c"))
    queue.disarm(Timer(10, AUCTION_END, 2, "b"))

    assert queue.take(30, 10) == [Timer(10, EXPIRY, 2, "b")]


def test_a_timer_armed_twice_fires_once() -> None:
    queue = armed(Timer(10, EXPIRY, 2, "b"), Timer(10, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b"))

    assert queue.take(10, 10) == [Timer(10, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b")]


class Counted(int):
    """A rank that counts how often ranks were compared."""

    compared = 0

    def __lt__(self, other: object) -> bool:
        Counted.compared += 1
        return int(self) < int(other)  # type: ignore[call-overload, no-any-return]


def comparisons(most: int) -> int:
    """Take 4,096 timers of one time, at most so many at once; return how often two were compared."""
    queue = armed(*(Timer(10, EXPIRY, Counted(rank * 1_237 % 4_096), str(rank)) for rank in range(4_096)))
    Counted.compared = 0

    while queue.next() is not None:
        queue.take(10, most)

    return Counted.compared


def test_timers_of_one_time_cost_the_same_taken_few_at_once_as_taken_all_at_once() -> None:
    assert comparisons(1) == comparisons(4_096)
    assert comparisons(1) < 4_096 * 16


def test_timers_of_one_time_are_not_looked_at_again_while_others_are_taken() -> None:
    queue = armed(*(Timer(10, EXPIRY, Counted(rank), str(rank)) for rank in range(4_096)))
    queue.take(10, 1)
    Counted.compared = 0

    queue.take(10, 1)

    assert Counted.compared < 32


def test_a_timer_disarmed_after_others_of_its_time_were_taken_does_not_fire() -> None:
    queue = armed(*(Timer(10, EXPIRY, rank, str(rank)) for rank in range(5)))
    queue.take(10, 1)

    queue.disarm(Timer(10, EXPIRY, 1, "1"))
    queue.disarm(Timer(10, EXPIRY, 3, "3"))

    assert [timer.rank for timer in queue.take(10, 2)] == [2, 4]
    assert (queue.next(), queue.take(10, 2)) == (None, [])


def test_a_time_is_done_when_what_was_left_of_it_is_disarmed() -> None:
    queue = armed(Timer(10, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b"), Timer(20, EXPIRY, 3, "c"))
    queue.take(10, 1)

    queue.disarm(Timer(10, EXPIRY, 2, "b"))

    assert (queue.next(), queue.take(30, 10)) == (20, [Timer(20, EXPIRY, 3, "c")])


def test_a_timer_armed_while_its_time_is_being_taken_comes_in_its_place_and_once() -> None:
    queue = armed(*(Timer(10, EXPIRY, rank, "old") for rank in (1, 4, 6)))
    queue.take(10, 1)

    queue.arm(Timer(10, EXPIRY, 5, "new"))
    queue.disarm(Timer(10, EXPIRY, 4, "old"))
    queue.arm(Timer(10, EXPIRY, 4, "old"))

    assert [(timer.rank, timer.key) for timer in queue.take(10, 10)] == [(4, "old"), (5, "new"), (6, "old")]
    assert queue.next() is None


def test_a_time_that_was_taken_whole_can_be_armed_for_again() -> None:
    queue = armed(Timer(10, EXPIRY, 1, "a"))
    queue.take(10, 1)

    queue.arm(Timer(10, EXPIRY, 1, "a"))

    assert queue.take(10, 5) == [Timer(10, EXPIRY, 1, "a")]


TIMER = st.builds(Timer, st.integers(0, 3), st.sampled_from(Kind), st.integers(0, 5), st.sampled_from("abcd"))
ARM, DISARM = st.tuples(st.just("arm"), TIMER), st.tuples(st.just("disarm"), TIMER)
TAKE = st.tuples(st.integers(0, 4), st.integers(1, 3))


@given(st.lists(st.one_of(ARM, ARM, DISARM, TAKE), max_size=60))
def test_timers_are_taken_as_sorting_all_that_are_armed_would_give_them(steps: list[Any]) -> None:
    queue = Timers()
    model: set[Timer] = set()

    for first, second in steps:
        if first == "arm":
            queue.arm(second)
            model.add(second)
        elif first == "disarm":
            queue.disarm(second)
            model.discard(second)
        else:
            expected = sorted(timer for timer in model if timer.due <= first)[:second]
            assert queue.take(first, second) == expected
            model.difference_update(expected)
        assert queue.next() == min((timer.due for timer in model), default=None)
