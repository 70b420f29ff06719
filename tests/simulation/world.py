"""The one clock and the one chance of a simulated run: what happens next, and a digest of all that happened.

Every process runs one callback at a time, in an order that the seed draws; nothing waits for real time, and nothing
that could differ from one run to the next is asked.
"""

import hashlib
import heapq
import itertools
from collections.abc import Callable
from random import Random

START_NS = 1_000_000_000_000
Action = Callable[[], None]


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.now_ns = START_NS
        self.counts: dict[str, int] = {}
        self._due: list[tuple[int, float, int, Action]] = []
        self._numbers = itertools.count()
        self._digest = hashlib.blake2b(digest_size=16)

    @property
    def now_s(self) -> float:
        """The seconds since the clocks began."""
        return self.now_ns / 1e9

    @property
    def passed_s(self) -> float:
        """The seconds since this run began."""
        return (self.now_ns - START_NS) / 1e9

    def after(self, delay_s: float, action: Action) -> None:
        """Let something happen later; what is due at one moment comes in an order that the seed draws."""
        due_ns = self.now_ns + round(delay_s * 1e9)
        heapq.heappush(self._due, (due_ns, self.chance.random(), next(self._numbers), action))

    def run(self, is_done: Callable[[], bool], until_s: float) -> bool:
        """Let things happen until `is_done`, or until so much has passed; tell whether it was done."""
        while self._due and not is_done():
            due_ns, _, _, action = self._due[0]
            if due_ns > START_NS + until_s * 1e9:
                return False
            heapq.heappop(self._due)
            self.now_ns = due_ns
            action()
        return is_done()

    def note(self, what: str, *more: object) -> None:
        """Make something part of the digest, and count it."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self._digest.update(f"{self.now_ns} {what} {more}\n".encode())

    def digest(self) -> str:
        """Return the digest of everything noted so far: equal runs have equal ones."""
        return self._digest.hexdigest()
