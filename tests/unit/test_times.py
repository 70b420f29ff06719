"""Engine time to and from text."""

import pytest

from exchange.times import parse_time, time_text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_763_797_044_123_456, "2025-11-22T07:37:24.123456Z"),
        (1_763_797_044_000_000, "2025-11-22T07:37:24.000000Z"),
    ],
)
def test_a_time_prints_six_decimals_and_is_read_back(time: int, text: str) -> None:
    assert time_text(time) == text
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-22T07:37:24Z", "2025-11-22t07:37:24z", "2025-11-22T07:37:24.0Z", "2025-11-22T08:37:24+01:00",
        "2025-11-22T02:07:24-05:30", "2025-11-22T07:37:24.000000000Z",
    ],
)  # fmt: skip
def test_every_rfc_3339_time_is_read(text: str) -> None:
    assert parse_time(text) == 1_763_797_044_000_000


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "1763797044", "2025-11-22", "2025-11-22T07:37:24", "2025-11-22 07:37:24Z", "20251122T073724Z",
        "2025-11-22T07:37Z", "2025-11-22T24:37:24Z", "2025-02-30T00:00:00Z", "2025-W47-6T07:37:24Z",
        "2025-11-22T07:37:24Z ", "2025-11-22T07:37:24+01", "2025-11-22T07:37:24.Z", "2025-11-22T07:37:24Z\n",
        "\u0662025-11-22T07:37:24Z",
    ],
)  # fmt: skip
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)
