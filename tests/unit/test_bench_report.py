from bench.report import Budget, Figure, cells, table


def test_share_of_the_limit_is_taken_within_each_run() -> None:
    figure = Figure("orders", "/s", values=[100, 300, 200], limits=[200, 300, 800])

    assert figure.share_of_limit == 0.5


def test_rate_meets_its_budget_from_above_and_a_latency_from_below() -> None:
    rate = Figure("orders", "/s", [900, 1200, 1500], budget=Budget(1000))
    latency = Figure("p99", "ms", [20.0, 30.0, 40.0], budget=Budget(25, "lower"))

    assert (rate.share_of_budget, rate.is_met) == (1.2, True)
    assert (latency.share_of_budget, latency.is_met) == (1.2, False)


def test_line_shows_median_extremes_limit_and_budget() -> None:
    figure = Figure("orders", "/s", [900, 1200, 1500], [2000, 2000, 2000], "empty handler", Budget(1000))

    assert cells(figure) == (
        "orders", "1,200", "/s", "900", "1,500", "empty handler 2,000", "60%", "≥ 1,000", "1.20", "met",
    )  # fmt: skip


def test_table_aligns_its_columns() -> None:
    text = table("title", [Figure("a", "/s", [1]), Figure("much longer", "ms", [12345])])

    assert text.splitlines()[3:] == [
        "a              1.00  /s      1.00    1.00",
        "much longer  12,345  ms    12,345  12,345",
    ]
