import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.latency import Histogram, Percentiles, percentile, percentiles


def test_percentile_is_a_measured_value_of_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]

    assert [percentile(ordered, fraction) for fraction in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]


def test_percentile_of_one_value_is_that_value() -> None:
    assert [percentile([7.0], fraction) for fraction in (0.0, 0.5, 0.99, 1.0)] == [7.0] * 4


def test_percentiles_take_seconds_in_any_order_and_print_milliseconds() -> None:
    assert percentiles([0.003, 0.001, 0.002]) == Percentiles(2.0, 3.0, 3.0, 3.0)


def test_nothing_measured_is_all_zero() -> None:
    assert percentiles([]) == Histogram().percentiles() == Percentiles(0.0, 0.0, 0.0, 0.0)


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=50))
def test_histogram_is_never_below_the_truth_and_at_most_two_percent_above(seconds: list[float]) -> None:
    histogram = Histogram()
    exact = percentiles(seconds)

    histogram.add(seconds)

    found = histogram.percentiles()
    for name in ("p50_ms", "p95_ms", "p99_ms", "worst_ms"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name) * 1.01, rel=0.0101)
