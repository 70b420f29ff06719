"""Whether the engine is asked at all: after a failure only by a probe now and then; it asks nobody itself.

What one environment has learned the others read in Redis; while that is away each learns by itself.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from exchange.stores.cache import Argument, CacheAway, CommandError

OPEN_MS = 2000
"""How long the others hear of a failure; each further one says it anew."""
PROBE_MS = 250
FRESH_S = 0.1
"""How long what Redis said holds while the breaker is closed: an order a request would be one more question."""


class Told(Protocol):
    """What the environments tell each other by: Redis."""

    def call(self, key: str, *command: Argument) -> Any:
        """Return the answer to one command about `key`; raise `CacheAway` or `CommandError` where there is none."""


class Breaker:
    """Open after a failure, closed by a success; one for each environment and cell."""

    def __init__(self, cache: Told, cell: int, clock: Callable[[], float] = time.monotonic):
        self._cache = cache
        self._open_key = f"{{{cell}}}:breaker"
        self._probe_key = f"{{{cell}}}:breaker:probe"
        self._clock = clock
        self._is_open = False
        self._heard_until = 0.0
        self._probe_at = 0.0

    def lets_through(self) -> bool:
        """Tell whether the engine is to be asked; what came of it must be told by `succeeded` or `failed`."""
        if not self._is_open:
            now = self._clock()
            if now < self._heard_until:
                return True
            self._heard_until = now + FRESH_S
            self._is_open = self._others_say_open() is True
        return not self._is_open or self._is_probe()

    def failed(self) -> None:
        """Open: nobody answered."""
        self._is_open = True
        self._probe_at = self._clock() + PROBE_MS / 1000
        self._told("SET", self._open_key, 1, "PX", OPEN_MS)

    def succeeded(self) -> None:
        """Close: the engine answered."""
        if self._is_open:
            self._is_open = False
            self._heard_until = self._clock() + FRESH_S
            self._told("DEL", self._open_key)

    def _is_probe(self) -> bool:
        """Let one through each 250 ms, of all that hear of each other, and all once another got through."""
        shared = self._others_say_open()
        if shared is False:
            return True
        now = self._clock()
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE_MS / 1000
        return shared is None or self._told("SET", self._probe_key, 1, "NX", "PX", PROBE_MS)

    def _others_say_open(self) -> bool | None:
        """Tell what Redis holds, None while it is away."""
        try:
            return self._cache.call(self._open_key, "GET", self._open_key) is not None
        except (CacheAway, CommandError):
            return None

    def _told(self, *command: str | int) -> bool:
        """Tell Redis; False where it is away or did not do it."""
        try:
            return self._cache.call(self._open_key, *command) is not None
        except (CacheAway, CommandError):
            return False
