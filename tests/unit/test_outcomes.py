"""What an engine's answer becomes over HTTP."""

from typing import Any

import pytest
from msgspec import structs

from exchange.documents import fill_document, market_document, order_document
from exchange.errors import DETAIL_OF_CODE, STATUS_OF_CODE, Rejected
from exchange.events import AccountChanged, DeadManSet, OrderAmended, OrderCanceled
from exchange.markets import FeeTier, MarketStatus, ReferencePolicy
from exchange.orders import FillRecord, Liquidity, OrderRecord, OrderStatus, Side
from exchange.outcomes import (
    Outcome,
    amend_outcome,
    batch_document,
    canceled_document,
    checked_document,
    dead_man_document,
    order_outcome,
    pair_outcome,
    refusal,
    rejection,
)
from exchange.wire import Answer
from tests.unit.test_requests_orders import LIMIT, MARKET, NOW, STOP, command, without

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


def test_every_code_of_the_engine_has_words() -> None:
    of_the_engine = {code for code, status in STATUS_OF_CODE.items() if status in (404, 409, 422)}

    assert of_the_engine - DETAIL_OF_CODE.keys() == {"request.not_found"}


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


def test_a_tested_stop_is_shown_as_it_would_wait() -> None:
    assert checked_document(command(STOP), MARKET, NOW)["order"]["status"] == "pending_trigger"


def test_every_field_of_a_request_is_printed_with_its_steps() -> None:
    until = {"time_in_force": "gtd", "expire_time": "2027-01-01T00:00:00Z"}
    iceberg = command({**LIMIT, "display_quantity": "0.5", "self_trade_prevention": "cancel_both", **until})
    stop = command({**STOP, "type": "stop_limit", "price": "89.5", "queue_deadline_ms": 1000})
    trailing = command({**without(STOP, "stop_price"), "type": "trailing_stop", "trailing_delta": "1.5"})

    first, second, third = (checked_document(placed, MARKET, NOW)["order"] for placed in (iceberg, stop, trailing))

    assert (first["display_quantity"], first["self_trade_prevention"]) == ("0.50000", "cancel_both")
    assert (first["time_in_force"], first["expire_time"]) == ("gtd", "2027-01-01T00:00:00.000000Z")
    assert (second["stop_price"], second["price"], second["queue_deadline_ms"]) == ("90.00", "89.50", 1000)
    assert (third["trailing_delta"], third["stop_price"], third["price"]) == ("1.50", None, None)


def test_what_prevention_took_is_printed_where_it_took_anything() -> None:
    prevented = structs.replace(RESTING, prevented_lots=50_000, remaining_lots=100_000)

    assert "prevented_quantity" not in order_document(RESTING, MARKET)
    assert order_document(prevented, MARKET)["prevented_quantity"] == "0.50000"


def test_a_rebate_is_a_negative_fee_beside_the_others() -> None:
    order = structs.replace(RESTING, fee_base=-5, fee_quote=7)
    fill = structs.replace(FILL, fee=-5, liquidity=Liquidity.MAKER)

    assert order_document(order, MARKET)["fees"] == [
        {"asset": "BTC", "amount": "-0.00000005"},
        {"asset": "USD", "amount": "0.00000007"},
    ]
    assert (fill_document(fill, MARKET)["fee"], fill_document(fill, MARKET)["fee_asset"]) == ("-0.00000005", "BTC")


def test_a_market_is_printed_with_all_its_settings() -> None:
    market = structs.replace(
        MARKET, status=MarketStatus.AUCTION, price_band=50_000_000, maker_fee_rate=-1_000_000,
        reference=ReferencePolicy.LAST_AUCTION, fee_tiers=(FeeTier(10**11, -500_000, 2_000_000),),
    )  # fmt: skip

    document = market_document(market)

    assert (document["status"], document["price_band"], document["maker_fee_rate"]) == ("auction", "0.05", "-0.001")
    assert (document["reference"], document["volatility_auction_ms"]) == ("last_auction", 30_000)
    assert document["fee_tiers"] == [
        {"volume": "1000.00000000", "maker_fee_rate": "-0.0005", "taker_fee_rate": "0.002"}
    ]


def test_a_pair_is_answered_with_both_orders_and_a_refused_one_too() -> None:
    other = structs.replace(RESTING, placed=structs.replace(PLACED, order_id="1-other"))
    answer = Answer(7, NOW, order=RESTING, partner=other, fills=[FILL], replayed=True)
    refused = structs.replace(answer, code="order.insufficient_funds", fills=[], replayed=False)

    taken, problem = pair_outcome(answer, MARKET, "r"), pair_outcome(refused, MARKET, "r")

    assert (taken.status, set(taken.document)) == (201, {"orders", "fills", "replayed"})
    assert [order["order_id"] for order in taken.document["orders"]] == [PLACED.order_id, "1-other"]
    assert (problem.status, problem.document["code"]) == (422, "order.insufficient_funds")
    assert [order["order_id"] for order in problem.document["orders"]] == [PLACED.order_id, "1-other"]
    assert "order" not in problem.document
    assert "orders" not in pair_outcome(Answer(code="order.duplicate_mismatch"), MARKET, "r").document


def test_an_amendment_is_answered_with_what_it_traded_and_whether_it_kept_its_place() -> None:
    amended = OrderAmended(
        PLACED.order_id,
        "acc_alice",
        "BTC-USD",
        Side.BUY,
        10_001,
        150_000,
        10_001,
        100_000,
        100_000,
        100_000,
        True,
        0,
        0,
    )

    outcome = amend_outcome(Answer(8, NOW, order=RESTING, fills=[FILL], events=[amended]), MARKET, "r")

    assert (outcome.status, set(outcome.document)) == (200, {"order", "fills", "priority_kept"})
    assert outcome.document["priority_kept"] is True
    assert amend_outcome(Answer(code="order.not_cancelable"), None, "r").status == 422
    off = amend_outcome(Answer(code="order.price_tick", detail="off", field="price"), None, "r")
    assert off.document["errors"] == [{"field": "price", "message": "off"}]


def test_what_a_command_canceled_is_counted_whole_and_named_up_to_five_hundred() -> None:
    ended = [OrderCanceled(f"1-{n}", "a", "BTC-USD", Side.BUY, 1, 1, 1, "user", 0, 0) for n in range(600)]

    document = canceled_document(Answer(9, NOW, events=[AccountChanged("a", "cancel_only"), *ended], canceled=600))

    assert (document["canceled"], len(document["order_ids"]), document["order_ids"][0]) == (600, 500, "1-0")


def test_the_dead_man_s_switch_says_when_it_fires_or_that_it_never_does() -> None:
    armed, disarmed = (Answer(9, NOW, events=[DeadManSet("a", deadline)]) for deadline in (NOW, None))

    assert dead_man_document(armed) == {"cancel_time": "2025-11-22T07:37:24.000000Z"}
    assert dead_man_document(disarmed) == {"cancel_time": None}
