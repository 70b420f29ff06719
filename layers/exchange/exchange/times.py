"""Engine time, microseconds since the epoch, to and from RFC 3339 text; it never asks a clock."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def time_text(time_us: int) -> str:
    """Print `2026-11-22T07:37:24.123456Z`."""
    seconds, microseconds = divmod(time_us, 1_000_000)
    return f"{_second_text(seconds)}.{microseconds:06d}Z"


@lru_cache(64)
def _second_text(seconds: int) -> str:
    """Print a second; most times that are printed lie in a few of them."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def parse_time(text: str) -> int:
    """Return the microseconds of an RFC 3339 time with an offset or Z; raise `ValueError` for any other text."""
    if not RFC_3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time such as 2026-11-22T07:37:24.123456Z")
    return (datetime.fromisoformat(text.upper()) - EPOCH) // MICROSECOND
