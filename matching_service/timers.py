"""What is to happen at a time: one queue for all of it, in order of due time; it never looks at a clock."""

from bisect import bisect_left, insort
from enum import IntEnum
from heapq import heapify, heappop, heappush
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
    """Something due; of one time and kind, the lower `rank` comes first: one key has always the same."""

    due: int
    kind: Kind
    rank: int
    key: str


Place = tuple[Kind, int, str]
"""Kind, rank and key of a timer: its place among those of its time."""


class Timers:
    """The timers that are armed; those of one time are kept together, since all day orders have the same.

    They are put in order only once their time is being taken: a heap of each such time, made at its first `take`, may
    also hold what is armed no more, and that is passed over when its turn comes.
    """

    __slots__ = ("_at", "_heaps", "_times")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._at: dict[int, dict[Place, None]] = {}
        self._heaps: dict[int, list[Place]] = {}

    def arm(self, timer: Timer) -> None:
        """Add a timer that may be there."""
        due, place = timer.due, timer[1:]
        at = self._at.get(due)
        if at is None:
            at = self._at[due] = {}
            insort(self._times, due)
        at[place] = None
        if due in self._heaps:
            heappush(self._heaps[due], place)

    def disarm(self, timer: Timer) -> None:
        """Take a timer away that may have fired."""
        at = self._at.get(timer.due)
        if at is None:
            return
        at.pop(timer[1:], None)
        if not at:
            self._forget(timer.due)
            del self._times[bisect_left(self._times, timer.due)]

    def next(self) -> int | None:
        """Return when the next one is due."""
        return self._times[0] if self._times else None

    def take(self, time: int, most: int) -> list[Timer]:
        """Take away what is due at `time`, `most` at the most, and return it in order."""
        taken: list[Timer] = []
        done = 0
        for due in self._times:
            if due > time or len(taken) == most:
                break
            self._take_at(due, most, taken)
            if self._at[due]:
                break
            self._forget(due)
            done += 1
        del self._times[:done]
        return taken

    def _take_at(self, due: int, most: int, taken: list[Timer]) -> None:
        """Take away what is armed for one time, until `most` are taken."""
        at = self._at[due]
        heap = self._heaps.get(due)
        if heap is None:
            heap = self._heaps[due] = list(at)
            heapify(heap)
        while at and len(taken) < most:
            place = heappop(heap)
            if place in at:
                del at[place]
                taken.append(Timer(due, *place))

    def _forget(self, due: int) -> None:
        """Drop what was kept of a time for which nothing is armed."""
        del self._at[due]
        self._heaps.pop(due, None)
