"""Rate limits: the script in Redis and the bucket in the process keep the same contract."""

import time
from collections.abc import Callable, Iterator

import pytest

from exchange.errors import Rejected
from exchange.http import HttpRequest
from exchange.limits import Limiter
from exchange.settings import Edge
from exchange.stores.cache import Cache
from tests.servers import valkey, valkey_cluster

AWAY = "redis://127.0.0.1:9"
SLOW = Edge(
    "",
    "",
    "",
    "",
    mutations_per_second=1,
    mutations_burst=5,
    cancels_per_second=2,
    reads_per_second=3,
    public_per_second=2,
)


def request(address: str = "192.0.2.1") -> HttpRequest:
    return HttpRequest("GET", "/", {}, {"x-forwarded-for": [address]}, b"", "r")


def is_taken(take: Callable[[], None]) -> bool:
    try:
        take()
    except Rejected as rejected:
        return rejected.code != "rate.limited"
    return True


PLACES: dict[str, Callable[[], str]] = {
    "in Redis": valkey,
    "in a Redis cluster": valkey_cluster,
    "in the process": lambda: AWAY,
}


@pytest.fixture(params=PLACES)
def limiter(request: pytest.FixtureRequest) -> Iterator[Limiter]:
    cache = Cache(PLACES[request.param](), timeout_s=1.0)
    yield Limiter(SLOW, cache)
    cache.close()


def test_a_burst_is_taken_and_no_more(limiter: Limiter) -> None:
    asked = request()

    taken = [is_taken(lambda: limiter.mutation(asked, "ex_1")) for _ in range(7)]

    assert taken == [True] * 5 + [False] * 2
    assert 1 <= int(asked.reply_headers["Retry-After"]) <= 2


def test_the_headers_tell_what_is_left(limiter: Limiter) -> None:
    asked = request()

    limiter.mutation(asked, "ex_1", cost=2)

    assert asked.reply_headers == {"RateLimit-Limit": "5", "RateLimit-Remaining": "3", "RateLimit-Reset": "2"}


def test_a_refusal_tells_what_is_left_too(limiter: Limiter) -> None:
    asked = request()
    limiter.mutation(asked, "ex_1", cost=4)

    assert not is_taken(lambda: limiter.mutation(asked, "ex_1", cost=2))
    assert asked.reply_headers["RateLimit-Remaining"] == "1"
    assert is_taken(lambda: limiter.mutation(asked, "ex_1"))


def test_a_batch_counts_its_items(limiter: Limiter) -> None:
    assert is_taken(lambda: limiter.mutation(request(), "ex_1", cost=5))
    assert not is_taken(lambda: limiter.mutation(request(), "ex_1"))


def test_a_batch_larger_than_the_burst_needs_all_of_it(limiter: Limiter) -> None:
    assert is_taken(lambda: limiter.mutation(request(), "ex_1", cost=50))
    assert not is_taken(lambda: limiter.mutation(request(), "ex_1"))


def test_cancels_have_a_reserve_of_their_own(limiter: Limiter) -> None:
    limiter.mutation(request(), "ex_1", cost=5)

    taken = [is_taken(lambda: limiter.cancel(request(), "ex_1")) for _ in range(4)]

    assert taken == [True, True, False, False]
    assert not is_taken(lambda: limiter.mutation(request(), "ex_1"))


def test_reads_do_not_count_as_changes(limiter: Limiter) -> None:
    limiter.mutation(request(), "ex_1", cost=5)

    taken = [is_taken(lambda: limiter.read(request(), "ex_1")) for _ in range(4)]

    assert taken == [True] * 3 + [False]


def test_each_key_and_each_address_has_its_own_bucket(limiter: Limiter) -> None:
    limiter.mutation(request(), "ex_1", cost=5)

    assert is_taken(lambda: limiter.mutation(request(), "ex_2", cost=5))
    assert [is_taken(lambda: limiter.public(request())) for _ in range(3)] == [True, True, False]
    assert is_taken(lambda: limiter.public(request("192.0.2.2")))


def test_public_answers_have_no_rate_headers_but_a_refusal_says_when_to_come_back(limiter: Limiter) -> None:
    asked = request()

    limiter.public(asked)
    assert asked.reply_headers == {}
    limiter.public(asked)

    assert not is_taken(lambda: limiter.public(asked))
    assert asked.reply_headers == {"Retry-After": "1"}


def test_tokens_come_back_at_the_rate() -> None:
    now = [1_000_000_000]
    limiter = Limiter(SLOW, Cache(AWAY), lambda: now[0])
    limiter.mutation(request(), "ex_1", cost=5)

    now[0] += 999_999
    assert not is_taken(lambda: limiter.mutation(request(), "ex_1"))
    now[0] += 1
    assert is_taken(lambda: limiter.mutation(request(), "ex_1"))
    assert not is_taken(lambda: limiter.mutation(request(), "ex_1"))
    now[0] += 60_000_000
    assert is_taken(lambda: limiter.mutation(request(), "ex_1", cost=5))


def test_tokens_come_back_in_redis_too() -> None:
    cache = Cache(valkey())
    fast = Limiter(Edge("", "", "", "", mutations_per_second=1000, mutations_burst=1), cache)

    def refused_until_taken() -> int:
        return next(number for number in range(1000) if is_taken(lambda: fast.mutation(request(), "ex_1")))

    refused_until_taken()

    assert 0 < refused_until_taken() < 999
    cache.close()


def test_buckets_in_redis_expire() -> None:
    cache = Cache(valkey())
    Limiter(SLOW, cache).mutation(request(), "ex_1")

    assert 0 < cache.call("{ex_1}", "PTTL", "{ex_1}:mutations") <= 2100
    cache.close()


@pytest.mark.parametrize("is_in_redis", [True, False])
def test_a_clock_that_went_back_an_hour_locks_nobody_out(is_in_redis: bool) -> None:
    hour_us = 3_600_000_000
    now = [time.time_ns() // 1000 + hour_us]
    cache = Cache(valkey() if is_in_redis else AWAY)
    limiter, asked = Limiter(SLOW, cache, lambda: now[0]), request()
    limiter.mutation(asked, "ex_1", cost=5)
    if is_in_redis:
        key = "{ex_1}:mutations"
        cache.call(key, "SET", key, str(now[0]))
    now[0] -= hour_us

    assert [is_taken(lambda: limiter.mutation(asked, "ex_1")) for _ in range(6)] == [True] * 5 + [False]
    cache.close()
