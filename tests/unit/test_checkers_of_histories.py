"""The checker of strict serializability accepts a clean history and finds each kind of violation planted in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exchange.commands import (
    CancelOrder,
    CancelOrders,
    Command,
    CreateAccount,
    CreateAsset,
    CreateMarket,
    Journaled,
    Transfer,
)
from exchange.orders import Side
from tests.checkers.history import Call, Kind, history_problems
from tests.checkers.truth import Truth, truth_of
from tests.engines import SYMBOL, TIME, limit, market

SETTING_UP: list[Command] = [
    CreateAsset("BTC", 2),
    CreateAsset("USD", 4),
    CreateMarket(market()),
    CreateAccount("create-alice", "alice", "alice"),
    CreateAccount("create-bob", "bob", "bob"),
    Transfer("deposit", "alice", "BTC", 1000, "first"),
    Transfer("deposit", "bob", "USD", 1000, "first"),
]
TRADING: list[Command] = [
    limit("ask", "alice", Side.SELL, 5, 100),  # 8
    limit("bid", "bob", Side.BUY, 2, 100),  # 9: fills 2 of `ask`
    limit("poor", "bob", Side.BUY, 900, 100),  # 10: refused
    CancelOrder("cancel-ask", "alice", "ask"),  # 11
    limit("next", "alice", Side.SELL, 4, 101),  # 12
    CancelOrders("cancel-all", "alice", SYMBOL, None),  # 13
    limit("last", "alice", Side.SELL, 1, 102),  # 14
]
JOURNAL = [Journaled(n, TIME + n, command) for n, command in enumerate([*SETTING_UP, *TRADING], 1)]
TRUTH = truth_of(1, JOURNAL)
FILL = {"trade_id": "1-9-2", "price": "1.00", "quantity": "0.02"}


def order(name: str, at: int) -> dict[str, Any]:
    return TRUTH.orders[name].document_at(at)


def placed(name: str, at: int, began: int, ended: int, *fills: dict[str, Any], **more: Any) -> Call:
    account = order(name, at)["account_id"]
    return Call(Kind.PLACE, account, began, ended, 201, {"order": order(name, at), "fills": [*fills], **more}, name)


def read(name: str, at: int, began: int, ended: int) -> Call:
    return Call(Kind.ORDER, order(name, at)["account_id"], began, ended, 200, {"order": order(name, at)}, name)


def funds(account: str, began: int, ended: int, **held: tuple[str, str]) -> Call:
    rows = [{"asset": asset, "available": free, "held": bound} for asset, (free, bound) in held.items()]
    return Call(Kind.BALANCES, account, began, ended, 200, {"data": rows})


REFUSED = {"code": "order.insufficient_funds", "order": order("poor", 10)}
CLEAN = [
    placed("ask", 8, 10, 20),
    placed("bid", 9, 30, 40, FILL),
    read("ask", 9, 50, 60),
    Call(Kind.PLACE, "bob", 50, 60, 422, REFUSED, "poor"),
    funds("bob", 50, 60, BTC=("0.02", "0.00"), USD=("0.0800", "0.0000")),
    Call(Kind.CANCEL, "alice", 70, 90, 200, {"order": order("ask", 11)}, "ask", "cancel-ask"),
    read("ask", 9, 80, 85),
    placed("ask", 9, 82, 95, replayed=True),
    placed("next", 12, 100, 110),
    Call(Kind.CANCEL_ALL, "alice", 120, 130, 200, {"canceled": 1, "order_ids": ["next"]}, request_id="cancel-all"),
    Call(Kind.ORDER, "alice", 120, 130, 404, order_id="last"),
    placed("last", 14, 140, 150),
    Call(Kind.PLACE, "alice", 160, 170, 409, {"code": "order.duplicate_mismatch"}, "last"),
    Call(Kind.PLACE, "alice", 160, 170, 401, {"code": "auth.expired"}, "never"),
    Call(Kind.PLACE, "alice", 160, 170, 503, {"execution": "none"}, "nor-this"),
]
"""By place: 0 ask, 1 bid, 2 read, 3 refused, 4 funds, 5 cancel, 6 earlier read, 7 copy, 8 next, 9 cancel all, 10
404, 11 last, 12 other body, 13 refused at the edge, 14 refused by the engine's door."""


def told(calls: list[Call], truth: Truth = TRUTH) -> list[str]:
    return list(history_problems(truth, calls))


def changed(place: int, **values: Any) -> list[Call]:
    return [*CLEAN[:place], replace(CLEAN[place], **values), *CLEAN[place + 1 :]]


def redone(place: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Call]:
    return changed(place, document=change(CLEAN[place].document))


def test_a_clean_history_has_no_problems() -> None:
    assert told(CLEAN) == []


def test_calls_that_overlap_may_have_happened_in_any_order() -> None:
    overlapping = [placed("bid", 9, 10, 40, FILL), placed("ask", 8, 20, 30), read("ask", 8, 15, 60)]

    assert told(overlapping) == []


PLANTED: dict[str, tuple[list[Call], str]] = {
    "an acknowledged order is lost": (
        changed(0, order_id="lost"),
        "I7: place lost (201): told of an order that the journal does not hold",
    ),
    "a call takes effect before one that had returned": (
        [*CLEAN[:5], placed("last", 14, 41, 45), *CLEAN[5:11], *CLEAN[12:]],
        "I7: place poor (422): happened at 10, but calls that had returned before it began show 14",
    ),
    "a read misses a write acknowledged before it began": (
        [*CLEAN, read("ask", 9, 180, 190)],
        "I7: order ask (200): happened at 9 to 10, but calls that had returned before it began show 14",
    ),
    "a read goes back behind another read": (
        [*CLEAN[:1], read("ask", 9, 31, 32), read("ask", 8, 33, 34), *CLEAN[1:]],
        "I7: order ask (200): happened at 8, but calls that had returned before it began show 9",
    ),
    "a read shows what was never committed": (
        redone(2, lambda read: {"order": read["order"] | {"sequence": 10}}),
        "I7: order ask (200): shows ask at 10, when nothing was committed about it",
    ),
    "a read shows a write of the future": (
        [*CLEAN, replace(CLEAN[10], began=180, ended=190)],
        "I7: order last (404): happened at 0 to 13, but calls that had returned before it began show 14",
    ),
    "an answer tells other fills": (
        redone(1, lambda answer: answer | {"fills": []}),
        "I7: place bid (201): told the fills [], but they were [('1-9-2', '1.00', '0.02')]",
    ),
    "an answer shows another order than the journal": (
        redone(1, lambda answer: answer | {"order": answer["order"] | {"filled_quantity": "0.01"}}),
        "I7: place bid (201): differs from 9 of the journal in filled_quantity",
    ),
    "a refused order is told as accepted": (
        changed(3, status=201, document={"order": order("poor", 10), "fills": []}),
        "I7: place poor (201): told accepted, but it was order.insufficient_funds",
    ),
    "an order refused at the edge was executed": (
        changed(11, status=401, document={"code": "auth.expired"})[:12],
        "I2: place last (401): refused without effect, and executed at [14]",
    ),
    "an order told as never taken was executed": (
        changed(11, status=503, document={"execution": "none"})[:12],
        "I2: place last (503): refused without effect, and executed at [14]",
    ),
    "an unknown outcome stays unknown": (
        changed(8, status=0, document={}),
        "I12: it was never answered",
    ),
    "a queued order is never executed": (
        [*CLEAN, Call(Kind.PLACE, "bob", 180, 190, 202, {"order": {"status": "queued"}}, "queued")],
        "I7: place queued (202): told of an order that the journal does not hold",
    ),
    "a cancel is told as done that was not": (
        changed(5, request_id="cancel-nothing"),
        "I7: cancel ask (200): told of a command that the journal does not hold",
    ),
    "a mass cancel tells of other orders": (
        changed(9, document={"canceled": 2, "order_ids": ["next", "ask"]}),
        "I7: cancel_all cancel-all (200): told of 2 canceled orders, but 13 has ['next']",
    ),
    "a balance was never what was shown": (
        [*CLEAN[:4], funds("bob", 50, 60, BTC=("0.02", "0.00"), USD=("0.0799", "0.0001")), *CLEAN[5:]],
        "I7: balances bob (200): shows balances that the account never had",
    ),
    "balances are older than an acknowledged trade": (
        [*CLEAN[:4], funds("bob", 50, 60, USD=("0.1000", "0.0000")), *CLEAN[5:]],
        "I7: balances bob (200): happened at 7 to 8, but calls that had returned before it began show 9",
    ),
    "the answer to a copy is not that of the first": (
        redone(7, lambda answer: answer | {"fills": [FILL]}),
        "I7: place ask (201): told the fills [('1-9-2', '1.00', '0.02')], but they were []",
    ),
    "an id is told as another order's and is nobody's": (
        changed(12, order_id="free"),
        "I7: place free (409): told of an order that the journal does not hold",
    ),
    "two copies are both answered as new": (
        [*CLEAN, placed("last", 14, 140, 150)],
        "I2: order last was answered as new 2 times",
    ),
    "an answer tells another sequence than its own": (
        redone(0, lambda answer: answer | {"order": order("ask", 9)}),
        "I7: place ask (201): told of sequence 9, but it happened at 8",
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(kind: str) -> None:
    calls, problem = PLANTED[kind]

    assert any(problem in found for found in told(calls)), told(calls)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (limit("ask", "alice", Side.SELL, 5, 100), "I2: order ask was executed at [8, 15]"),
        (CancelOrder("cancel-ask", "alice", "ask"), "I2: request cancel-ask was executed at [11, 15]"),
    ],
)
def test_what_was_executed_twice_is_found(command: Any, problem: str) -> None:
    doubled = truth_of(1, [*JOURNAL, Journaled(15, TIME + 15, command)])

    assert problem in told(CLEAN, doubled)
