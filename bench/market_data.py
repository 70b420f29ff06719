"""Public reads over HTTP, books and tickers in turn, beside the same reads of an empty handler; it starts nothing."""

from collections.abc import Sequence

from bench.budgets import MARKET_DATA, MARKET_DATA_P99
from bench.http import closed, warm
from bench.orders import Reads
from bench.report import Figure, Round, column
from client.credentials import Credentials

CLIENTS = 16


def rounds(known: Credentials, empty_url: str, runs: int, seconds: float) -> list[Round]:
    """Measure the exchange and the empty handler in turn, `runs` times."""
    for url in (known.base_url, empty_url):
        warm(url, Reads(url), CLIENTS)
    return [_round(known.base_url, empty_url, seconds) for _ in range(runs)]


def _round(base_url: str, empty_url: str, seconds: float) -> Round:
    found: dict[str, float] = {}
    for name, url in (("reads", base_url), ("empty", empty_url)):
        measured = closed(url, Reads(url), CLIENTS, seconds)
        times = measured.percentiles
        found |= {f"{name} rate": measured.rate, f"{name} p50": times.p50_ms, f"{name} p99": times.p99_ms}
    return found


def figures(found: Sequence[Round]) -> list[Figure]:
    """Return the table's lines."""
    budgets = {"rate": MARKET_DATA, "p99": MARKET_DATA_P99}
    return [
        Figure(
            name=f"book and ticker, {CLIENTS} clients, {figure}",
            unit=unit,
            values=column(found, f"reads {figure}"),
            limits=column(found, f"empty {figure}"),
            limit_name="empty handler",
            budget=budgets.get(figure),
        )
        for figure, unit in (("rate", "reads/s"), ("p50", "ms"), ("p99", "ms"))
    ]
