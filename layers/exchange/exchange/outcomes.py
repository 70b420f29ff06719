"""What became of a command, as the answer or the problem that the contract promises; it asks nobody."""

from msgspec import Struct
from msgspec.structs import replace

from exchange.documents import fill_document, order_document
from exchange.errors import DETAIL_OF_CODE, STATUS_OF_CODE, Rejected
from exchange.events import DeadManSet, OrderAmended, OrderCanceled
from exchange.http import Document, problem_document
from exchange.markets import Market
from exchange.orders import TRIGGERED_TYPES, OrderStatus, PlaceOrder
from exchange.queued import waiting_order
from exchange.times import time_text
from exchange.wire import Answer

MOST_BATCH_FILLS = 1000
MOST_CANCELED_IDS = 500


class Outcome(Struct, frozen=True):
    """A status and its document, which is a problem from 400 on."""

    status: int
    document: Document


def order_outcome(answer: Answer, market: Market, request_id: str, status: int = 201) -> Outcome:
    """Return what became of an order: it with its fills, or the refusal."""
    if answer.code is not None:
        return refusal(answer, request_id, market)
    assert answer.order is not None, "an order that was done is answered with it"
    document: Document = {
        "order": order_document(answer.order, market),
        "fills": [fill_document(fill, market) for fill in answer.fills],
    }
    return Outcome(status, replayed(document, answer))


def pair_outcome(answer: Answer, market: Market, request_id: str) -> Outcome:
    """Return what became of an OCO pair: both orders with their fills, or the refusal of both."""
    orders = [order_document(order, market) for order in (answer.order, answer.partner) if order is not None]
    if answer.code is not None:
        refused = refusal(answer, request_id)
        return Outcome(refused.status, {**refused.document, "orders": orders} if orders else refused.document)
    fills = [fill_document(fill, market) for fill in answer.fills]
    return Outcome(201, replayed({"orders": orders, "fills": fills}, answer))


def amend_outcome(answer: Answer, market: Market | None, request_id: str) -> Outcome:
    """Return what became of an amended order: it, what it traded at once, and whether it kept its place."""
    if answer.code is not None or answer.order is None or market is None:
        return refusal(answer, request_id, market)
    amended = next(event for event in answer.events if isinstance(event, OrderAmended))
    document: Document = {
        "order": order_document(answer.order, market),
        "fills": [fill_document(fill, market) for fill in answer.fills],
        "priority_kept": amended.priority_kept,
    }
    return Outcome(200, replayed(document, answer))


def canceled_document(answer: Answer) -> Document:
    """Return how many orders a command canceled, and which: the first 500 of them."""
    ids = [event.order_id for event in answer.events if isinstance(event, OrderCanceled)]
    return replayed({"canceled": answer.canceled, "order_ids": ids[:MOST_CANCELED_IDS]}, answer)


def dead_man_document(answer: Answer) -> Document:
    """Return when the dead man's switch will fire, null where it is disarmed."""
    armed = next(event for event in answer.events if isinstance(event, DeadManSet))
    return replayed({"cancel_time": None if armed.deadline is None else time_text(armed.deadline)}, answer)


def refusal(answer: Answer, request_id: str, market: Market | None = None) -> Outcome:
    """Return the problem for a command that the engine refused, with the order where it is about one."""
    code = answer.code
    assert code is not None
    at_field = code == "request.invalid" and answer.field is not None
    status = 422 if at_field else STATUS_OF_CODE.get(code, 422)
    detail = answer.detail or DETAIL_OF_CODE.get(code, "The engine refused the command.")
    order = None
    if answer.order is not None and market is not None:
        order = order_document(answer.order, market)
    errors = [{"field": answer.field, "message": detail}] if answer.field else None
    document = problem_document(request_id, code, detail, status, errors=errors, order=order)
    return Outcome(status, replayed(document, answer))


def rejection(error: Rejected, request_id: str) -> Outcome:
    """Return the problem for one item of a batch that never reached the engine."""
    errors = [{"field": name, "message": rule} for name, rule in error.fields] or None
    return Outcome(error.status, problem_document(request_id, error.code, error.detail, error.status, errors=errors))


def unread_document(order_id: str, account_id: str) -> Document:
    """Return all that is known of an order while neither its row nor its note can be read."""
    return {"order": {"order_id": order_id, "account_id": account_id, "status": OrderStatus.QUEUED}}


def replayed(document: Document, answer: Answer) -> Document:
    """Mark a document that repeats an earlier answer."""
    if answer.replayed:
        document["replayed"] = True
    return document


def batch_document(outcomes: list[Outcome]) -> Document:
    """Return the outcomes of a batch in order; it carries its first 1,000 fills."""
    room = MOST_BATCH_FILLS
    results: list[Document] = []
    for outcome in outcomes:
        if outcome.status >= 400:
            results.append({"status": outcome.status, "problem": outcome.document})
            continue
        result = {"status": outcome.status, **outcome.document}
        fills = result["fills"]
        if len(fills) > room:
            result["fills"] = fills[:room]
            result["fills_truncated"] = True
        room -= len(result["fills"])
        results.append(result)
    return {"results": results}


def checked_document(order: PlaceOrder, market: Market, time: int) -> Document:
    """Return an order as it would be accepted, without a place in the sequence."""
    status = OrderStatus.PENDING_TRIGGER if order.type in TRIGGERED_TYPES else OrderStatus.NEW
    record = replace(waiting_order(order, time), status=status)
    return {"order": order_document(record, market)}
