"""The breaker: opened by a failure, closed by a success, one probe each 250 ms of all who hear of each other."""

import itertools

from exchange.breaker import Breaker
from exchange.stores.cache import Argument, CacheAway


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Redis:
    """The three commands that a breaker needs, with the times at which keys end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ends: dict[str, float] = {}
        self.asked = 0
        self.is_away = False

    def call(self, key: str, *command: Argument) -> object:
        self.asked += 1
        if self.is_away:
            raise CacheAway("away")
        verb, name = command[0], str(command[1])
        is_there = self.ends.get(name, 0.0) > self.clock.now
        if verb == "GET":
            return b"1" if is_there else None
        if verb == "DEL":
            return self.ends.pop(name, None) is not None
        if "NX" in command and is_there:
            return None
        self.ends[name] = self.clock.now + int(command[-1]) / 1000
        return b"OK"


def breakers(count: int) -> tuple[Clock, Redis, list[Breaker]]:
    clock = Clock()
    redis = Redis(clock)
    return clock, redis, [Breaker(redis, 1, clock) for _ in range(count)]


def test_a_closed_breaker_asks_redis_ten_times_a_second_at_most() -> None:
    clock, redis, [breaker] = breakers(1)

    for _ in range(100):
        assert breaker.lets_through()
        clock.now += 0.001
    assert redis.asked == 1
    clock.now += 0.1
    assert breaker.lets_through()
    assert redis.asked == 2


def test_one_failure_opens_it_here_and_elsewhere() -> None:
    clock, _, [here, there] = breakers(2)
    assert here.lets_through()

    here.failed()

    assert not here.lets_through()
    clock.now += 0.2
    assert not here.lets_through()
    assert there.lets_through(), "the first look of another is a probe"
    assert not there.lets_through()


def test_of_all_environments_one_probes_each_250_ms() -> None:
    clock, _, several = breakers(5)
    for breaker in several:
        breaker.lets_through()
    for breaker in several:
        breaker.failed()

    probes = []
    for _ in range(100):
        clock.now += 0.01
        for breaker in several:
            if breaker.lets_through():
                breaker.failed()
                probes.append(round(clock.now - 100.0, 2))
    assert len(probes) in (3, 4)
    assert all(later - earlier >= 0.25 for earlier, later in itertools.pairwise(probes))


def test_a_success_closes_it_here_and_elsewhere() -> None:
    clock, _, [here, there] = breakers(2)
    for breaker in (here, there):
        breaker.lets_through()
        breaker.failed()
    clock.now += 0.25
    assert here.lets_through()

    here.succeeded()

    assert here.lets_through()
    assert there.lets_through()


def test_without_redis_each_learns_by_itself() -> None:
    clock, redis, [here, there] = breakers(2)
    redis.is_away = True

    here.failed()

    assert not here.lets_through()
    assert there.lets_through()
    clock.now += 0.25
    assert here.lets_through()
    assert not here.lets_through()
