"""Engine time, microseconds since the epoch, to and from RFC 3339 text; it never asks a clock."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def time_text(time_us: int) -> str:
    """Print `2026-11-22T07:37:24.123456Z`."""
    moment = EPOCH + timedelta(microseconds=time_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}Z"


def parse_time(text: str) -> int:
    """Return the microseconds of an RFC 3339 time with an offset or Z; raise `ValueError` for any other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError("must be an RFC 3339 time such as 2026-11-22T07:37:24.123456Z")
    return (moment - EPOCH) // MICROSECOND
