"""What was applied lately: ids of orders and transfers, and ids of requests; it forgets by rule and never by chance."""

from collections import deque
from collections.abc import Iterator

MAX_RECENT_IDS = 100_000
REQUEST_WINDOW_US = 120_000_000
"""How long the id of a request is remembered, in engine time."""
NEVER = 1 << 62


class RecentIds:
    """The ids of the last 100,000 orders and transfers, with their sequences."""

    __slots__ = ("_oldest_first", "sequences")

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}
        # Beside the dict, since finding the first key of a dict means walking over all that were deleted before it.
        self._oldest_first: deque[str] = deque()

    def add(self, identifier: str, sequence: int) -> None:
        """Remember one more, and forget the oldest beyond the bound."""
        assert identifier not in self.sequences, identifier
        self.sequences[identifier] = sequence
        self._oldest_first.append(identifier)
        if len(self._oldest_first) > MAX_RECENT_IDS:
            del self.sequences[self._oldest_first.popleft()]


class RequestIds:
    """The ids of the requests of the last 120 s of engine time, with their sequences and times."""

    __slots__ = ("_oldest_first", "due", "sequences")

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}
        self._oldest_first: deque[tuple[int, str]] = deque()
        self.due = NEVER

    def add(self, identifier: str, sequence: int, time: int) -> None:
        """Remember one more."""
        assert identifier not in self.sequences, identifier
        if not self._oldest_first:
            self.due = time + REQUEST_WINDOW_US
        self.sequences[identifier] = sequence
        self._oldest_first.append((time, identifier))

    def expire(self, time: int) -> None:
        """Forget what is older than the window at `time`; nothing is before `time` passes `due`."""
        oldest_first = self._oldest_first
        while oldest_first and oldest_first[0][0] + REQUEST_WINDOW_US < time:
            del self.sequences[oldest_first.popleft()[1]]
        self.due = oldest_first[0][0] + REQUEST_WINDOW_US if oldest_first else NEVER

    def entries(self) -> Iterator[tuple[str, int, int]]:
        """Return `(id, sequence, time)` of each, oldest first."""
        for time, identifier in self._oldest_first:
            yield identifier, self.sequences[identifier], time
