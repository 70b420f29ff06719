"""What an engine's answer becomes over HTTP."""

from typing import Any

import pytest
from msgspec import structs

from exchange.errors import Rejected
from exchange.orders import FillRecord, Liquidity, OrderRecord, OrderStatus, Side
from exchange.outcomes import Outcome, batch_document, checked_document, order_outcome, refusal, rejection
from exchange.wire import Answer
from tests.unit.test_requests_orders import LIMIT, MARKET, NOW, command

PLACED = command({**LIMIT, "client_order_id": "mine"})
RESTING = OrderRecord(PLACED, OrderStatus.NEW, 0, 150_000, 0, 0, 0, None, 7, 7, NOW, NOW)
FILL = FillRecord(
    1, 7, 2, PLACED.order_id, "acc_alice", "BTC-USD", Side.BUY, 10_001, 1, 100, 1, "BTC", Liquidity.TAKER, NOW
)


def test_an_order_that_was_taken_is_201_with_it_and_its_fills() -> None:
    outcome = order_outcome(Answer(7, NOW, order=RESTING, fills=[FILL]), MARKET, "r")

    assert outcome.status == 201
    assert set(outcome.document) == {"order", "fills"}
    assert (outcome.document["order"]["price"], outcome.document["order"]["status"]) == ("100.01", "new")
    assert outcome.document["fills"][0]["trade_id"] == "1-7-2"


def test_a_copy_is_marked_at_the_top() -> None:
    assert order_outcome(Answer(7, NOW, replayed=True, order=RESTING), MARKET, "r").document["replayed"] is True


def test_a_refused_order_is_a_problem_that_carries_it() -> None:
    rejected = structs.replace(RESTING, status=OrderStatus.REJECTED, reason="order.would_cross")

    outcome = order_outcome(Answer(7, NOW, code="order.would_cross", order=rejected), MARKET, "r")

    assert (outcome.status, outcome.document["code"], outcome.document["status"]) == (422, "order.would_cross", 422)
    assert outcome.document["order"]["reason"] == "order.would_cross"
    assert "replayed" not in outcome.document


def test_a_copy_of_a_refused_order_is_the_same_problem_marked() -> None:
    answer = Answer(7, NOW, code="order.would_cross", order=RESTING)
    first = order_outcome(answer, MARKET, "r")

    copy = order_outcome(structs.replace(answer, replayed=True), MARKET, "r")

    assert copy == Outcome(422, {**first.document, "replayed": True})


@pytest.mark.parametrize(
    ("answer", "status", "fields"),
    [
        (Answer(code="order.duplicate_mismatch"), 409, None),
        (Answer(code="admin.duplicate_mismatch"), 409, None),
        (Answer(code="resource.not_found"), 404, None),
        (Answer(code="request.invalid", detail="too much", field="amount"), 422, ["amount"]),
        (Answer(code="order.not_cancelable"), 422, None),
        (Answer(code="engine.refused"), 422, None),
        (Answer(code="order.insufficient_funds"), 422, None),
    ],
)
def test_a_refusal_has_the_status_of_its_code(answer: Answer, status: int, fields: list[str] | None) -> None:
    outcome = refusal(answer, "r")

    assert (outcome.status, outcome.document["status"], outcome.document["code"]) == (status, status, answer.code)
    errors = outcome.document.get("errors")
    assert (errors and [error["field"] for error in errors]) == fields


def taken(fills: int) -> Outcome:
    return Outcome(201, {"order": {}, "fills": [{"n": number} for number in range(fills)]})


def test_a_batch_keeps_its_order_and_tells_problems_from_results() -> None:
    refused = rejection(Rejected("order.price_tick", "off", (("price", "off"),), status=422), "r")

    document = batch_document([taken(1), refused, taken(0)])

    assert [result["status"] for result in document["results"]] == [201, 422, 201]
    assert [set(result) for result in document["results"]] == [
        {"status", "order", "fills"},
        {"status", "problem"},
        {"status", "order", "fills"},
    ]
    assert document["results"][1]["problem"]["errors"] == [{"field": "price", "message": "off"}]


def test_a_batch_carries_its_first_thousand_fills() -> None:
    results: list[Any] = batch_document([taken(600), taken(600), taken(5), taken(0)])["results"]

    assert [len(result["fills"]) for result in results] == [600, 400, 0, 0]
    assert [result.get("fills_truncated") for result in results] == [None, True, True, None]


def test_a_tested_order_is_shown_as_it_would_be_taken() -> None:
    order = checked_document(PLACED, MARKET, NOW)["order"]

    assert (order["status"], order["remaining_quantity"], order["sequence"]) == ("new", "1.50000", 0)
    assert order["order_id"] == PLACED.order_id
