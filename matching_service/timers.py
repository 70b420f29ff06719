"""What is to happen at a time: one queue for all of it, in order of due time; it never looks at a clock."""

from bisect import bisect_left, insort
from enum import IntEnum
from typing import NamedTuple

from exchange.orders import PlaceOrder, TimeInForce

DAY_US = 86_400_000_000
DAY, GTD = TimeInForce.DAY, TimeInForce.GTD


def expiry(placed: PlaceOrder, entered: int) -> int | None:
    """Return when an order expires that was entered at a time, in microseconds: a day order at the next 00:00 UTC."""
    if placed.time_in_force is DAY:
        return (entered // DAY_US + 1) * DAY_US
    return placed.expire_time if placed.time_in_force is GTD else None


class Kind(IntEnum):
    """What is due; of those due at one time, in this order."""

    EXPIRY = 0
    """The order of this id expires."""
    DEAD_MAN = 1
    """The account of this id was not heard of in time."""
    FEE_DAY = 2
    """The tiers of this market's new day begin to hold."""
    AUCTION_END = 3
    """The auction of this market ends."""


class Timer(NamedTuple):
    """Something due; of one time and kind, the lower `rank` comes first."""

    due: int
    kind: Kind
    rank: int
    key: str


class Timers:
    """The timers that are armed; those of one time are kept together, since all day orders have the same."""

    __slots__ = ("_at", "_times")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._at: dict[int, dict[tuple[Kind, str], int]] = {}

    def arm(self, timer: Timer) -> None:
        """Add a timer, or give it another rank."""
        at = self._at.get(timer.due)
        if at is None:
            at = self._at[timer.due] = {}
            insort(self._times, timer.due)
        at[timer.kind, timer.key] = timer.rank

    def disarm(self, due: int, kind: Kind, key: str) -> None:
        """Take a timer away that may have fired."""
        at = self._at.get(due)
        if at is None or at.pop((kind, key), None) is None or at:
            return
        del self._at[due]
        del self._times[bisect_left(self._times, due)]

    def next(self) -> int | None:
        """Return when the next one is due."""
        return self._times[0] if self._times else None

    def take(self, time: int, most: int) -> list[Timer]:
        """Take away what is due at `time`, `most` at the most, and return it in order."""
        taken: list[Timer] = []
        while self._times and self._times[0] <= time and len(taken) < most:
            due = self._times[0]
            timers = sorted(Timer(due, kind, rank, key) for (kind, key), rank in self._at[due].items())
            for timer in timers[: most - len(taken)]:
                taken.append(timer)
                self.disarm(due, timer.kind, timer.key)
        return taken
