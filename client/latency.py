"""Percentiles of measured times; it never averages them and never drops one."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Times in milliseconds; all are 0 where nothing was measured."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return the smallest of the `ordered` values that at least `fraction` of them do not exceed (nearest rank)."""
    rank = math.ceil(fraction * len(ordered))
    return ordered[max(rank, 1) - 1]


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Summarise times measured in seconds, in any order."""
    if not seconds:
        return Percentiles(0.0, 0.0, 0.0, 0.0)
    ordered = sorted(seconds)
    p50, p95, p99 = (1000 * percentile(ordered, fraction) for fraction in (0.50, 0.95, 0.99))
    return Percentiles(p50, p95, p99, 1000 * ordered[-1])


class Histogram:
    """Any number of times in bounded memory: percentiles up to `WIDTH` too high, never too low."""

    WIDTH = 1.02
    _LEAST_S = 1e-6

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, seconds: Iterable[float]) -> None:
        """Count times."""
        scale = math.log(self.WIDTH)
        self._counts.update(math.ceil(math.log(max(time, self._LEAST_S) / self._LEAST_S) / scale) for time in seconds)

    def percentiles(self) -> Percentiles:
        """Summarise all times counted so far."""
        total = self._counts.total()
        if not total:
            return percentiles([])
        p50, p95, p99, worst = (1000 * self._percentile(fraction, total) for fraction in (0.50, 0.95, 0.99, 1.0))
        return Percentiles(p50, p95, p99, worst)

    def _percentile(self, fraction: float, total: int) -> float:
        buckets = sorted(self._counts)
        reached = accumulate(self._counts[bucket] for bucket in buckets)
        bucket = next(b for b, count in zip(buckets, reached, strict=True) if count >= fraction * total)
        return self._LEAST_S * self.WIDTH**bucket
