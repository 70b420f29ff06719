"""Timers: one queue in order of time, kind and rank."""

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

    queue.disarm(10, EXPIRY, "a")
    queue.disarm(20, EXPIRY, "c")
    queue.disarm(20, EXPIRY, "c")
    queue.disarm(10, AUCTION_END, "b")

    assert queue.take(30, 10) == [Timer(10, EXPIRY, 2, "b")]


def test_a_timer_armed_again_has_its_new_rank_only() -> None:
    queue = armed(Timer(10, EXPIRY, 5, "a"), Timer(10, EXPIRY, 2, "b"))

    queue.arm(Timer(10, EXPIRY, 1, "a"))

    assert queue.take(10, 10) == [Timer(10, EXPIRY, 1, "a"), Timer(10, EXPIRY, 2, "b")]
