"""Invariant I7: what clients were told is strictly serializable, in the one order that the journal gives.

Every answered call has a sequence after which it happened: a change its own, a read any at which things stood as it
says. Swept in the order of time, n log n for sorting: a call takes the earliest such sequence that is not before what
calls that had returned have shown. That there is none means that no order of the calls explains the answers.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from exchange.documents import Document
from tests.checkers.truth import FOR_EVER, Fill, Interval, Truth

MOST_IDS = 500
UNANSWERED = 0


class Kind(StrEnum):
    """What was asked; all but the last two change something."""

    PLACE = "place"
    CANCEL = "cancel"
    AMEND = "amend"
    CANCEL_ALL = "cancel_all"
    ORDER = "order"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as its client saw it: nanoseconds of one clock, and the last answer, status 0 where there was none.

    `request_id` is that of the command, for those that have one; `order_id` the order that it is about.
    """

    kind: Kind
    account_id: str
    began: int
    ended: int
    status: int
    document: Document = field(default_factory=dict)
    order_id: str = ""
    request_id: str = ""

    @property
    def is_accepted(self) -> bool:
        """Tell whether it was answered as done."""
        return 200 <= self.status < 300

    @property
    def is_without_effect(self) -> bool:
        """Tell whether the answer promises that nothing happened."""
        if self.status == 503:
            return self.document.get("execution") == "none"
        is_refused_by_engine = self.status == 422 and "order" in self.document
        return self.kind is Kind.PLACE and 400 <= self.status < 500 and self.status != 409 and not is_refused_by_engine

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id or self.request_id or self.account_id} ({self.status})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """When a call may have happened: intervals of sequences, oldest first; a change at exactly its own.

    None means: at any time, and what it shows is the past of nobody.
    """

    intervals: Sequence[Interval] | None = None
    is_change: bool = False
    problems: tuple[str, ...] = ()


def history_problems(truth: Truth, calls: Sequence[Call]) -> Iterator[str]:
    """Tell what no serial order in real time explains, and what was told that the journal does not say."""
    yield from _twice(truth)
    yield from _new_twice(calls)
    verdicts = [_verdict(truth, call) for call in calls]
    for call, verdict in zip(calls, verdicts, strict=True):
        yield from (f"I7: {call}: {problem}" for problem in verdict.problems)
    yield from _effects_of_the_refused(truth, calls)
    yield from _out_of_order(calls, verdicts)


def _twice(truth: Truth) -> Iterator[str]:
    for kind, found in (("order", truth.entered), ("request", truth.requests)):
        for identifier, sequences in found.items():
            if len(sequences) > 1:
                yield f"I2: {kind} {identifier} was executed at {sequences}"


def _new_twice(calls: Iterable[Call]) -> Iterator[str]:
    """Of all copies of an order one may be answered as new; the others are told that they are copies."""
    new = Counter(
        call.order_id
        for call in calls
        if call.kind is Kind.PLACE and call.status == 201 and not call.document.get("replayed")
    )
    yield from (
        f"I2: order {order_id} was answered as new {times} times" for order_id, times in new.items() if times > 1
    )


def _effects_of_the_refused(truth: Truth, calls: Iterable[Call]) -> Iterator[str]:
    """An order refused with the word that nothing happened is in the journal by another call only."""
    harmless = [call for call in calls if call.is_without_effect]
    explained = {call.order_id for call in calls if call.kind is Kind.PLACE and not call.is_without_effect}
    for call in harmless:
        if call.order_id in truth.entered and call.order_id not in explained:
            yield f"I2: {call}: refused without effect, and executed at {truth.entered[call.order_id]}"


def _out_of_order(calls: Sequence[Call], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Sweep the begins and ends in time; what is simultaneous counts as overlapping."""
    moments = sorted([(call.began, 0, place) for place, call in enumerate(calls)]
                     + [(call.ended, 1, place) for place, call in enumerate(calls)])  # fmt: skip
    shown, happened = 0, [0] * len(calls)
    for _, is_end, place in moments:
        verdict = verdicts[place]
        if is_end:
            shown = max(shown, happened[place])
        elif verdict.intervals:
            found = _earliest(verdict, shown)
            happened[place] = found or 0
            if found is None:
                yield (
                    f"I7: {calls[place]}: happened at {_text(verdict.intervals)}, but calls that had returned before"
                    f" it began show {shown}"
                )


def _earliest(verdict: Verdict, shown: int) -> int | None:
    """Return the first sequence that the verdict allows and that is not before `shown`; a change comes after it."""
    assert verdict.intervals is not None
    least = shown + 1 if verdict.is_change else shown
    place = bisect_left(verdict.intervals, least, key=lambda interval: interval[1])
    if place == len(verdict.intervals):
        return None
    return max(verdict.intervals[place][0], least)


def _text(intervals: Sequence[Interval]) -> str:
    return " or ".join(str(low) if low == high else f"{low} to {high}" for low, high in intervals[-3:])


# What a single answer says, compared with the journal


def _verdict(truth: Truth, call: Call) -> Verdict:
    if call.status == UNANSWERED or (call.status >= 500 and not call.is_without_effect):
        return _wrong("I12: it was never answered")
    if call.is_without_effect or call.status == 429:
        return Verdict()
    return _JUDGES[call.kind](truth, call)


def _placed(truth: Truth, call: Call) -> Verdict:
    sequences = truth.entered.get(call.order_id)
    if sequences is None:
        return _wrong("told of an order that the journal does not hold")
    first = sequences[0]
    if call.status == 409:
        return Verdict([(first, FOR_EVER)])
    if call.status == 202:
        return Verdict()
    problems = []
    refusal = truth.refusals.get(first)
    if (refusal is not None) == call.is_accepted or (refusal and call.document.get("code") != refusal):
        problems.append(f"told {call.document.get('code', 'accepted')}, but it was {refusal or 'accepted'}")
    if call.is_accepted:
        problems += _fill_problems(truth, call, first)
    return _told_of(truth, call, first, problems)


def _changed(truth: Truth, call: Call) -> Verdict:
    """Judge the cancel or the amendment of one order."""
    sequences = truth.requests.get(call.request_id)
    if sequences is None:
        return Verdict() if call.status == 404 else _wrong("told of a command that the journal does not hold")
    if call.status == 202:
        return Verdict()
    at, refusal = sequences[0], truth.refusals.get(sequences[0])
    problems = []
    if (refusal is not None) == call.is_accepted:
        problems.append(f"told {call.document.get('code', 'done')}, but it was {refusal or 'done'} at {at}")
    if not call.is_accepted:
        replayed = bool(call.document.get("replayed"))
        return Verdict([(at, FOR_EVER if replayed else at)], not replayed, tuple(problems))
    if call.kind is Kind.AMEND:
        problems += _fill_problems(truth, call, at)
    return _told_of(truth, call, at, problems)


def _canceled_all(truth: Truth, call: Call) -> Verdict:
    sequences = truth.requests.get(call.request_id)
    if sequences is None:
        return _wrong("told of a command that the journal does not hold")
    at = sequences[0]
    ids, told = truth.canceled.get(at, []), (call.document.get("canceled"), call.document.get("order_ids"))
    problems = () if told == (len(ids), ids[:MOST_IDS]) else (f"told of {told[0]} canceled orders, but {at} has {ids}",)
    replayed = bool(call.document.get("replayed"))
    return Verdict([(at, FOR_EVER if replayed else at)], not replayed, problems)


def _told_of(truth: Truth, call: Call, at: int, problems: list[str]) -> Verdict:
    """Judge the order in an answer: as its command left it, or in an answer to a copy as it stood later."""
    order, replayed = call.document.get("order", {}), bool(call.document.get("replayed"))
    if not replayed and order.get("sequence") != at:
        problems.append(f"told of sequence {order.get('sequence')}, but it happened at {at}")
    interval = _stood(truth, call.order_id, order, problems)
    if not replayed:
        return Verdict([(at, at)], True, tuple(problems))
    return Verdict([interval] if interval else None, False, tuple(problems))


def _stood(truth: Truth, order_id: str, order: Document, problems: list[str]) -> Interval | None:
    """Return when an order stood as a document shows it, noting what is wrong with that."""
    history, sequence = truth.orders.get(order_id), order.get("sequence")
    interval = history.interval_from(sequence) if history and isinstance(sequence, int) else None
    if history is None or interval is None:
        problems.append(f"shows {order_id} at {sequence}, when nothing was committed about it")
        return None
    should = history.document_at(interval[0])
    if differing := sorted(name for name in should.keys() | order.keys() if should.get(name) != order.get(name)):
        problems.append(f"differs from {interval[0]} of the journal in {', '.join(differing)}")
    return interval


def _fill_problems(truth: Truth, call: Call, at: int) -> list[str]:
    told: set[Fill] = {(fill["trade_id"], fill["price"], fill["quantity"]) for fill in call.document.get("fills", [])}
    were = truth.fills.get((call.order_id, at), set())
    return [] if told == were else [f"told the fills {sorted(told)}, but they were {sorted(were)}"]


def _order_read(truth: Truth, call: Call) -> Verdict:
    entered = truth.entered.get(call.order_id, [FOR_EVER])
    order: Document = call.document.get("order", {})
    if call.status == 404 or order.get("status") == "queued":
        return Verdict([(0, entered[0] - 1)])
    problems: list[str] = []
    interval = _stood(truth, call.order_id, order, problems)
    return Verdict([interval] if interval else None, False, tuple(problems))


def _balances_read(truth: Truth, call: Call) -> Verdict:
    told: frozenset[Any] = frozenset(
        (row["asset"], row["available"], row["held"]) for row in call.document.get("data", [])
    )
    lasted = truth.balances.get(call.account_id, {}).get(told)
    if not lasted:
        return _wrong(f"shows balances that the account never had: {sorted(told)}")
    return Verdict(lasted)


def _wrong(problem: str) -> Verdict:
    return Verdict(problems=(problem,))


_JUDGES = {
    Kind.PLACE: _placed,
    Kind.CANCEL: _changed,
    Kind.AMEND: _changed,
    Kind.CANCEL_ALL: _canceled_all,
    Kind.ORDER: _order_read,
    Kind.BALANCES: _balances_read,
}
