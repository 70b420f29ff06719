"""Figures and how they print: the median of all runs beside its limit and its budget; it measures nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Better = Literal["higher", "lower"]
Round = Mapping[str, float]
"""What one run of a part measured, by name."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a figure should reach, as docs/architecture.md lists it."""

    value: float
    better: Better = "higher"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing: its value in each run, and in each run that of what bounds it."""

    name: str
    unit: str
    values: Sequence[float]
    limits: Sequence[float] = ()
    limit_name: str = ""
    budget: Budget | None = None

    @property
    def share_of_limit(self) -> float | None:
        """The median of value / limit within each run, None without a limit."""
        if not self.limits:
            return None
        return median(value / limit for value, limit in zip(self.values, self.limits, strict=True))

    @property
    def share_of_budget(self) -> float | None:
        """Median / budget: 1 or more is met where more is better, 1 or less where less is."""
        return None if self.budget is None else median(self.values) / self.budget.value

    @property
    def is_met(self) -> bool | None:
        """Tell whether the budget is met, None without one."""
        share = self.share_of_budget
        if share is None or self.budget is None:
            return None
        return share >= 1 if self.budget.better == "higher" else share <= 1


def column(rounds: Iterable[Round], name: str) -> list[float]:
    """Return one name's value of each round."""
    return [found[name] for found in rounds]


def number(value: float) -> str:
    """Print a number with as many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


HEADINGS = ("what", "median", "unit", "least", "most", "limit in the same run", "of limit", "budget", "of budget", "")


def table(title: str, figures: Sequence[Figure]) -> str:
    """Print the figures of one part as aligned text."""
    lines = [HEADINGS, *(cells(figure) for figure in figures)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEADINGS))]
    text = [
        "  ".join(
            cell.ljust(width) if place in (0, 2, 5) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, text[0], "-" * len(text[0]), *text[1:], ""])


def cells(figure: Figure) -> tuple[str, ...]:
    """Print one line of the table."""
    budget, share, of_budget = figure.budget, figure.share_of_limit, figure.share_of_budget
    sign = "" if budget is None else ("≥ " if budget.better == "higher" else "≤ ")
    verdict = {None: "", True: "met", False: "missed"}[figure.is_met]
    return (
        figure.name,
        number(median(figure.values)),
        figure.unit,
        number(min(figure.values)),
        number(max(figure.values)),
        f"{figure.limit_name} {number(median(figure.limits))}" if figure.limits else "",
        "" if share is None else f"{share:.0%}",
        "" if budget is None else sign + number(budget.value),
        "" if of_budget is None else f"{of_budget:.2f}",
        verdict,
    )
