"""What each figure should reach on two cores with everything on one machine; it measures nothing."""

from bench.report import Budget

BOOK = Budget(1_000_000)
ENGINE = Budget(400_000)
DURABLE = Budget(10_000)
DURABLE_P99 = Budget(30, "lower")
MARKET_DATA = Budget(2_500)
MARKET_DATA_P99 = Budget(15, "lower")
SHARE_OF_EMPTY = Budget(60)
"""Percent of the empty handler's rate, with awslambdaric."""
HTTP = {
    ("awslambdaric", 500, "p99"): Budget(25, "lower"),
    ("lean", 8, "rate"): Budget(1_500),
    ("lean", 8, "p99"): Budget(25, "lower"),
    ("lean", 32, "rate"): Budget(1_500),
    ("lean", 32, "p99"): Budget(25, "lower"),
    ("lean", 500, "p99"): Budget(10, "lower"),
}
"""By kind of execution environment, clients (or orders a second on a fixed schedule) and figure."""
