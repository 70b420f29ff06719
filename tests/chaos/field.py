"""One row under way: a running system, its traders, the faults done to it, and what came of it."""

import itertools
import math
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from client import credentials
from tests.chaos.processes import adopt_orphans, bury, kill
from tests.chaos.recording import Trader
from tests.chaos.stores import Stores
from tests.checkers.history import Call, Kind
from tests.e2e.system import System, processes_of, start
from tests.until import until

RECOVERY_S = 45.0
"""Longer without service is a violation (I15), on however busy a machine."""
BEFORE_NS = 500_000_000
"""A fault is noted a little after it happened, where the system did it to itself."""


class Violation(Exception):  # noqa: N818 - the word of the invariants
    """An invariant was seen broken while the row ran."""


@dataclass(slots=True)
class Field:
    """What a row may use: `times` is how often its fault is to be done, `chance` is all that it may draw from."""

    system: System
    chance: random.Random
    times: int
    traders: list[Trader] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)  # beside those of the traders
    problems: list[str] = field(default_factory=list)
    stores: Stores | None = None

    def fault(self) -> None:
        """Note that a fault is done now."""
        self.faults.append(time.monotonic_ns())

    def acknowledged(self, least: int, most: int = 0) -> None:
        """Wait for that many orders, or a number up to `most`, that are placed from now on and acknowledged."""
        wanted = self.chance.randint(least, max(least, most))
        since, places = time.monotonic_ns(), [len(trader.calls) for trader in self.traders]

        def are_enough() -> bool:
            found = (
                call.began >= since and call.kind is Kind.PLACE and call.is_accepted
                for trader, place in zip(self.traders, places, strict=True)
                for call in trader.calls[place:]
            )
            return sum(found) >= wanted

        if not until(are_enough, RECOVERY_S):
            raise Violation(f"I15: no {wanted} orders were acknowledged within {RECOVERY_S:.0f} s")

    def died(self, part: str = "matching_service") -> None:
        """Wait until a part has ended by itself, and note that as a fault."""
        self.system.line(f"{part} died", RECOVERY_S)
        self.fault()

    def kill_everything(self) -> None:
        """Kill every process of the system in one moment."""
        adopt_orphans()
        killed = processes_of(self.system.state)
        for pid in killed:
            kill(pid)
        with self.system.process as ended:
            ended.wait(RECOVERY_S)
        for pid in killed:
            bury(pid)

    def start_again(self, variables: Mapping[str, str]) -> None:
        """Start the system anew where it was: its state and its port."""
        with self.system.process as ended:
            ended.wait(RECOVERY_S)
        port = urlsplit(self.system.base_url).port
        assert port is not None
        self.system = start(self.system.state, port, variables)

    def account(self, name: str) -> credentials.Account:
        """Return a seeded account."""
        return credentials.read(self.system.credentials_path).account(name)

    def all_calls(self) -> list[Call]:
        """Return every call of the row."""
        return [*self.calls, *(call for trader in self.traders for call in trader.calls)]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    row: str
    faults: int
    requests: int
    acknowledged: int
    rejected: int
    resolved: int
    outages_ms: list[float]
    problems: list[str]

    @property
    def lost(self) -> int:
        """How many answers the journal does not hold, or that never came."""
        return sum("does not hold" in problem or "I12" in problem for problem in self.problems)

    @property
    def duplicated(self) -> int:
        """How many orders or requests were executed twice."""
        return sum("was executed at" in problem for problem in self.problems)

    def cells(self) -> list[str]:
        """Return what the table shows."""
        outages = sorted(self.outages_ms)
        shown = [f"{quantile(outages, share):.0f}" if outages else "-" for share in (0.5, 0.99, 1)]
        counts = (self.faults, self.requests, self.acknowledged, self.rejected, self.resolved, self.lost)
        others = len(self.problems) - self.lost - self.duplicated
        return [self.row, *map(str, counts), str(self.duplicated), *shown, str(others)]


def result_of(row: str, played: Field, problems: Sequence[str]) -> Result:
    """Count what came of a row."""
    calls = played.all_calls()
    return Result(
        row=row,
        faults=len(played.faults),
        requests=len(calls),
        acknowledged=sum(call.is_accepted for call in calls),
        rejected=sum(400 <= call.status < 500 for call in calls),
        resolved=sum(trader.resolved for trader in played.traders),
        outages_ms=outages_ms(played.faults, calls),
        problems=[*played.problems, *problems],
    )


def outages_ms(faults: Sequence[int], calls: Iterable[Call]) -> list[float]:
    """Return for each fault the longest time until the next one in which no order was acknowledged."""
    ends = sorted(call.ended for call in calls if call.kind is Kind.PLACE and call.is_accepted)
    found: list[float] = []
    for fault, following in itertools.pairwise([*faults, math.inf]):
        within = [end for end in ends if fault - BEFORE_NS <= end < following]
        silences = [after - before for before, after in itertools.pairwise(within)]
        if silences:
            found.append(max(silences) / 1e6)
    return found


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that so large a share of them does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
