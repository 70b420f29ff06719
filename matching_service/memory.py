"""What was applied lately: ids of orders and transfers, and ids of requests; it forgets by rule and never by chance.

An id is added by writing to `sequences`; what the rule has forgotten is dropped now and then, by `trim`. A method that
did all of it for each id cost 250 ns, a twentieth of a command.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile

MAX_RECENT_IDS = 100_000
REQUEST_WINDOW_US = 120_000_000
"""How long the id of a request is remembered, in engine time."""
TRIMMED_AT_ONCE = 1_000
"""To find the oldest of a dict is to walk over those that were dropped before: that pays off for many only."""


class RecentIds:
    """The ids of the last 100,000 orders and transfers, with their sequences, oldest first.

    Some older ones may be found as well: they are as true as the others, and not part of the state.
    """

    __slots__ = ("sequences",)

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}

    def trim(self) -> None:
        """Drop what is beyond the bound."""
        beyond = len(self.sequences) - MAX_RECENT_IDS
        if beyond >= TRIMMED_AT_ONCE:
            for identifier in list(islice(self.sequences, beyond)):
                del self.sequences[identifier]

    def entries(self) -> list[tuple[str, int]]:
        """Return the last 100,000 as `(id, sequence)`, oldest first."""
        beyond = max(0, len(self.sequences) - MAX_RECENT_IDS)
        return list(islice(self.sequences.items(), beyond, None))


class RequestIds:
    """The ids of the requests of the last 120 s of engine time, with their sequences, oldest first.

    Times are kept beside them, each once, with the first sequence that has it: a batch has one.
    """

    __slots__ = ("_first_kept", "_times", "_trimmed", "sequences")

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}
        self._times: deque[tuple[int, int]] = deque()
        self._first_kept = 0
        self._trimmed = 0

    def advance(self, sequence: int, time: int) -> None:
        """Go on to `time`, which `sequence` is the first to have, and forget what is older than the window then."""
        times = self._times
        times.append((sequence, time))
        while times[0][1] + REQUEST_WINDOW_US < time:
            times.popleft()
        self._first_kept = times[0][0]

    def sequence_of(self, identifier: str) -> int | None:
        """Return the sequence at which a request was applied, None where none is remembered."""
        sequence = self.sequences.get(identifier)
        return None if sequence is None or sequence < self._first_kept else sequence

    def trim(self) -> None:
        """Drop what is forgotten."""
        if self._first_kept - self._trimmed >= TRIMMED_AT_ONCE:
            self._trimmed = first_kept = self._first_kept
            forgotten = takewhile(lambda entry: entry[1] < first_kept, self.sequences.items())
            for identifier in [identifier for identifier, _ in forgotten]:
                del self.sequences[identifier]

    def entries(self) -> Iterator[tuple[str, int, int]]:
        """Return `(id, sequence, time)` of each, oldest first."""
        later = deque(self._times)
        time = 0
        for identifier, sequence in sorted(self.sequences.items(), key=_sequence):
            while later and later[0][0] <= sequence:
                time = later.popleft()[1]
            if sequence >= self._first_kept:
                yield identifier, sequence, time


def _sequence(entry: tuple[str, int]) -> int:
    """Return the sequence of an id; one used again after it was forgotten stands where it stood at first."""
    return entry[1]
