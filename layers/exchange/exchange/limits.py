"""Rate limits: token buckets in Redis, one script a request, and in the process while Redis is away; nothing waits.

A bucket is one number, the time at which it would be full again (the "theoretical arrival time" of GCRA, which is a
token bucket written with one value instead of two).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from exchange.errors import Rejected
from exchange.http import HttpRequest
from exchange.settings import Edge
from exchange.stores.cache import Cache, CacheAway, CommandError, Script

MICROSECONDS = 1_000_000
MOST_LOCAL_BUCKETS = 10_000

_TAKE = Script("""
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function take(key, rate, burst, cost)
  local room = burst * 1000000 / rate
  local full = math.max(tonumber(redis.call('GET', key) or '0'), now)
  if full - now > room + 1 then full = now end -- written by a clock that has gone back since
  local after = full + cost * 1000000 / rate
  if after - now > room then
    return {0, math.floor((now + room - full) * rate / 1000000), math.ceil(full - now), math.ceil(after - now - room)}
  end
  redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
  return {1, math.floor((now + room - after) * rate / 1000000 + 0.001), math.ceil(after - now), 0}
end
local taken = take(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[1]))
if taken[1] == 0 and KEYS[2] then
  local reserve = take(KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[4]), tonumber(ARGV[1]))
  if reserve[1] == 1 then taken = reserve end
end
return {ok = table.concat(taken, ' ')}
""")
"""Answers with one line, which is less work to read than a list: allowed, remaining, full_in_us, enough_in_us."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and so many at once."""

    per_second: int
    burst: int


class Taken(Struct, frozen=True):
    """What a bucket said: whether the tokens were there, what is left, when it is full and when it has enough."""

    allowed: bool
    remaining: int
    full_in_us: int
    enough_in_us: int


class Limiter:
    """Takes tokens for signed requests by key and for public ones by address."""

    def __init__(self, settings: Edge, cache: Cache, now_us: Callable[[], int] = lambda: time.time_ns() // 1000):
        self._cache = cache
        self._now_us = now_us
        self._mutations = Rate(settings.mutations_per_second, settings.mutations_burst)
        self._cancels = Rate(settings.cancels_per_second, settings.cancels_per_second)
        self._reads = Rate(settings.reads_per_second, settings.reads_per_second)
        self._public = Rate(settings.public_per_second, settings.public_per_second)
        self._local: OrderedDict[str, float] = OrderedDict()

    def mutation(self, request: HttpRequest, api_key: str, cost: int = 1) -> None:
        """Take `cost` tokens for a change; raise `Rejected` when the key has too few."""
        self._signed(request, (f"{{{api_key}}}:mutations",), self._mutations, cost)

    def cancel(self, request: HttpRequest, api_key: str) -> None:
        """Take a token for a cancel, from the cancels' own reserve when the others are used up."""
        self._signed(request, (f"{{{api_key}}}:mutations", f"{{{api_key}}}:cancels"), self._mutations, 1)

    def read(self, request: HttpRequest, api_key: str) -> None:
        """Take a token for a signed read."""
        self._signed(request, (f"{{{api_key}}}:reads",), self._reads, 1)

    def public(self, request: HttpRequest) -> None:
        """Take a token of the client's address for an unsigned call."""
        taken = self._taken((f"{{{request.address}}}:public",), self._public, 1)
        if not taken.allowed:
            raise _too_many(request, taken)

    def _signed(self, request: HttpRequest, keys: tuple[str, ...], rate: Rate, cost: int) -> None:
        taken = self._taken(keys, rate, min(cost, rate.burst))
        request.reply_headers["RateLimit-Limit"] = str(rate.burst)
        request.reply_headers["RateLimit-Remaining"] = str(max(taken.remaining, 0))
        request.reply_headers["RateLimit-Reset"] = str(_seconds(taken.full_in_us))
        if not taken.allowed:
            raise _too_many(request, taken)

    def _taken(self, keys: tuple[str, ...], rate: Rate, cost: int) -> Taken:
        try:
            arguments = (cost, rate.per_second, rate.burst, self._cancels.per_second)
            allowed, remaining, full_in_us, enough_in_us = map(int, self._cache.run(_TAKE, keys, arguments).split())
        except (CacheAway, CommandError):
            return self._taken_here(keys, rate, cost)
        return Taken(allowed == 1, remaining, full_in_us, enough_in_us)

    def _taken_here(self, keys: tuple[str, ...], rate: Rate, cost: int) -> Taken:
        taken = self._take_here(keys[0], rate, cost)
        if taken.allowed or len(keys) == 1:
            return taken
        reserve = self._take_here(keys[1], self._cancels, cost)
        return reserve if reserve.allowed else taken

    def _take_here(self, key: str, rate: Rate, cost: int) -> Taken:
        """Do in the process what the script does in Redis."""
        now = self._now_us()
        room = rate.burst * MICROSECONDS / rate.per_second
        full = max(self._local.get(key, 0.0), now)
        if full - now > room + 1:  # written by a clock that has gone back since
            full = now
        after = full + cost * MICROSECONDS / rate.per_second
        allowed = after - now <= room
        if allowed:
            self._local[key] = full = after
            self._local.move_to_end(key)
            if len(self._local) > MOST_LOCAL_BUCKETS:
                self._local.popitem(last=False)
        remaining = int((now + room - full) * rate.per_second / MICROSECONDS + 0.001)
        return Taken(allowed, remaining, int(full - now), 0 if allowed else int(after - now - room) + 1)


def _too_many(request: HttpRequest, taken: Taken) -> Rejected:
    seconds = max(_seconds(taken.enough_in_us), 1)
    request.reply_headers["Retry-After"] = str(seconds)
    return Rejected("rate.limited", f"Too many requests; try again in {seconds} s.")


def _seconds(microseconds: int) -> int:
    return -(-microseconds // MICROSECONDS)
