"""Orders and own accounts over HTTP: parse, call, answer; it decides nothing about an order."""

import json
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from exchange import outcomes, pages
from exchange.auth import Caller
from exchange.clients import Clients
from exchange.commands import AmendOrder, CancelOrder, CancelOrders, Command
from exchange.documents import fill_document, order_document
from exchange.entrance import Queued, prefers_async
from exchange.errors import Rejected, invalid_field
from exchange.forms import form_of, json_of, not_built
from exchange.gate import Gate
from exchange.http import Document, Event, Resolver, answered, answered_text
from exchange.markets import Market
from exchange.orders import OrderRecord, PlaceOrder, Side, id_of_signature, order_id_of
from exchange.outcomes import Outcome
from exchange.requests_orders import MOST_BATCHED, BatchForm, Origin, place_order, unknown_symbol
from exchange.requests_orders_changes import amend_order, cancel_all_after
from exchange.requests_orders_form import order_form
from exchange.requests_orders_pairs import OcoForm, of_leg, place_pair
from exchange.settings import Edge, load
from exchange.stores import accounts
from exchange.stores.orders import STATUSES, Orders
from exchange.symbols import CLIENT_ORDER_ID, ORDER_ID, SYMBOL
from exchange.wire import Answer

app = Resolver()


def handler(event: Event, context: Any) -> Document:
    """Answer one request of the load balancer."""
    return app.answer(event, context)


@cache
def clients() -> Clients:
    """Make the clients on first use, and keep them."""
    made = Clients(load(Edge))
    app.logger = made.logger
    return made


@cache
def gate() -> Gate:
    """Make the door for signed requests on first use, and keep it with the keys it has met."""
    return Gate(clients())


@app.get("/v1/live")
def live() -> Response[str]:
    """Tell the load balancer that this function runs, asking nothing."""
    return answered({"status": "ok"})


@app.post("/v1/orders")
def place() -> Response[str]:
    """Hand one order to the leader and answer with what became of it."""
    caller = gate().changer(app.received)
    order, market = _command(_body(), caller, 0)
    answer = clients().entrance.place(order, _prefers_async())
    app.received.log.update(order_id=order.order_id, cell=market.cell)
    if isinstance(answer, Queued):
        return _queued(answer, order)
    app.received.log["sequence"] = answer.sequence
    return _response(outcomes.order_outcome(answer, market, app.received.request_id))


@app.post("/v1/orders/test")
def test() -> Response[str]:
    """Ask the leader what an order would come to, and leave no trace."""
    caller = gate().changer(app.received)
    order, market = _command(_body(), caller, 0)
    (answer,) = clients().engine.submit([order], test=True)
    if answer.code is not None:
        return _response(outcomes.refusal(answer, app.received.request_id, market))
    return answered(outcomes.checked_document(order, market, _now()))


@app.post("/v1/orders/batch")
def place_batch() -> Response[str]:
    """Hand the well-formed orders of a batch to the leader in one message, and answer for each in its place."""
    caller = gate().changer(app.received, cost=_batch_size)
    form = form_of(BatchForm, _body())
    items = [_item(value, caller, index) for index, value in enumerate(form.orders)]
    orders = [item for item in items if not isinstance(item, Outcome)]
    answers = iter(clients().engine.submit([order for order, _ in orders]) if orders else [])
    request_id = app.received.request_id
    results = [
        item if isinstance(item, Outcome) else outcomes.order_outcome(next(answers), item[1], request_id)
        for item in items
    ]
    return answered(outcomes.batch_document(results))


@app.post("/v1/orders/oco")
def place_oco() -> Response[str]:
    """Hand two orders of which one cancels the other to the leader, as one command."""
    caller = gate().changer(app.received, cost=lambda: 2)
    form = form_of(OcoForm, _body())
    (first, market), (second, _) = (_leg(value, caller, index) for index, value in enumerate(form.orders))
    answer = _submitted(place_pair(first, second))
    return _response(outcomes.pair_outcome(answer, market, app.received.request_id))


@app.post("/v1/orders/cancel-all-after")
def set_dead_man() -> Response[str]:
    """Arm or disarm the dead man's switch of the account."""
    caller = gate().canceler(app.received)
    command = cancel_all_after(_body(), id_of_signature(caller.signature, 0), caller.account_id)
    answer = _submitted(command)
    if answer.code is not None:
        return _response(outcomes.refusal(answer, app.received.request_id))
    return answered(outcomes.dead_man_document(answer))


@app.patch("/v1/orders/<order_id>")
def amend(order_id: str) -> Response[str]:
    """Change the quantity or the price of one open order."""
    caller = gate().changer(app.received)
    _check_order_id(order_id)
    command = amend_order(_body(), id_of_signature(caller.signature, 0), caller.account_id, order_id)
    answer = _changed(command)
    if isinstance(answer, Queued):
        return _queued(answer, command)
    market = clients().markets.existing(answer.order.placed.symbol) if answer.order else None
    return _response(outcomes.amend_outcome(answer, market, app.received.request_id))


@app.delete("/v1/orders/<order_id>")
def cancel(order_id: str) -> Response[str]:
    """Cancel one order."""
    caller = gate().canceler(app.received)
    pages.query_of(app.received.query)
    _check_order_id(order_id)
    command = CancelOrder(id_of_signature(caller.signature, 0), caller.account_id, order_id)
    answer = _changed(command)
    if isinstance(answer, Queued):
        return _queued(answer, command)
    market = clients().markets.existing(answer.order.placed.symbol) if answer.order else None
    if answer.code is not None or answer.order is None or market is None:
        return _response(outcomes.refusal(answer, app.received.request_id, market))
    return answered(outcomes.replayed({"order": order_document(answer.order, market)}, answer))


@app.delete("/v1/orders")
def cancel_several() -> Response[str]:
    """Cancel every open order, of one market and of one side where the query says so."""
    caller = gate().canceler(app.received)
    query = pages.query_of(app.received.query, "symbol", "side")
    symbol, side = _symbol(query), pages.choice_of(query, "side", tuple(Side))
    request_id = id_of_signature(caller.signature, 0)
    answer = _submitted(CancelOrders(request_id, caller.account_id, symbol, Side(side) if side else None))
    if answer.code is not None:
        return _response(outcomes.refusal(answer, app.received.request_id))
    return answered(outcomes.canceled_document(answer))


@app.get("/v1/orders/<order_id>")
def order_by_id(order_id: str) -> Response[str]:
    """Show one order."""
    caller = gate().reader(app.received)
    pages.query_of(app.received.query)
    _check_order_id(order_id)
    return _shown(_orders().by_id(caller.account_id, order_id) or _waiting(caller, [order_id]))


@app.get("/v1/orders/by-client-id/<client_order_id>")
def order_by_client_id(client_order_id: str) -> Response[str]:
    """Show the order of a client's own id, the newest where several cells have one."""
    caller = gate().reader(app.received)
    symbol = _symbol(pages.query_of(app.received.query, "symbol"))
    if not CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise _no_order()
    ids = [order_id_of(cell, caller.account_id, client_order_id) for cell in clients().markets.cells()]
    found = _orders().newest_of(caller.account_id, ids, symbol) or _waiting(caller, ids)
    return _shown(found if found is None or symbol in (None, found.placed.symbol) else None)


@app.get("/v1/orders")
def list_orders() -> Response[str]:
    """List orders, newest first."""
    caller = gate().reader(app.received)
    query = pages.query_of(app.received.query, "status", "symbol", "limit", "cursor")
    status, symbol = pages.choice_of(query, "status", STATUSES), _symbol(query)
    limit, before = pages.limit_of(query), pages.named_cursor_place(query, "orders", 1, ORDER_ID)
    found = _orders().page(caller.account_id, status, symbol, before, limit + 1)
    documents = [order_document(record, _market(record.placed.symbol)) for record in found]
    places = [(record.first_sequence, record.placed.order_id) for record in found]
    return answered_text(pages.page(documents, places, "orders", limit))


@app.get("/v1/fills")
def list_fills() -> Response[str]:
    """List fills, newest first."""
    caller = gate().reader(app.received)
    query = pages.query_of(app.received.query, "symbol", "order_id", "limit", "cursor")
    symbol, order_id = _symbol(query), query.get("order_id")
    if order_id is not None and not ORDER_ID.fullmatch(order_id):
        raise pages.bad_query("order_id", "must be the id of an order")
    limit, before = pages.limit_of(query), pages.named_cursor_place(query, "fills", 2, ORDER_ID)
    found = _orders().fills(caller.account_id, symbol, order_id, before, limit + 1)
    documents = [fill_document(fill, _market(fill.symbol)) for fill in found]
    places = [(fill.sequence, fill.index, fill.order_id) for fill in found]
    return answered_text(pages.page(documents, places, "fills", limit))


@app.get("/v1/ledger")
def list_ledger() -> Response[str]:
    """List ledger entries, newest first."""
    caller = gate().reader(app.received)
    query = pages.query_of(app.received.query, "asset", "limit", "cursor")
    name = query.get("asset")
    asset = None if name is None else clients().markets.asset(name)
    if name is not None and asset is None:
        raise pages.bad_query("asset", "must be the name of an asset")
    limit, before = pages.limit_of(query), pages.cursor_place(query, "ledger", 4)
    found = accounts.ledger(clients().database, caller.account_id, asset, before, limit + 1)
    return answered_text(pages.page([entry for _, entry in found], [place for place, _ in found], "ledger", limit))


@app.get("/v1/balances")
def list_balances() -> Response[str]:
    """Show what the account has of each asset."""
    caller = gate().reader(app.received)
    pages.query_of(app.received.query)
    return answered({"data": accounts.balances(clients().database, clients().settings.cell, caller.account_id)})


@app.get("/v1/account")
def account() -> Response[str]:
    """Show the account and the limits of its keys."""
    caller = gate().reader(app.received)
    pages.query_of(app.received.query)
    settings, database = clients().settings, clients().database
    document: Document = {
        "account_id": caller.account_id,
        "status": accounts.account_status(database, settings.cell, caller.account_id),
        "maker_fee_rate": None,
        "taker_fee_rate": None,
        "limits": {
            "mutations_per_second": settings.mutations_per_second,
            "mutations_burst": settings.mutations_burst,
            "cancels_per_second": settings.cancels_per_second,
            "reads_per_second": settings.reads_per_second,
        },
    }
    if rates := accounts.tier_rates(database, clients().markets, settings.cell, caller.account_id):
        document["tier_rates"] = rates
    return answered(document)


@app.get("/v1/stream")
@app.get("/v1/stream/sse")
def stream() -> Response[str]:
    """Refuse what is not built yet."""
    clients().limiter.public(app.received)
    raise not_built()


def _body() -> Any:
    if app.received.query:
        pages.query_of(app.received.query)
    return json_of(app.received)


def _command(value: Any, caller: Caller, index: int) -> tuple[PlaceOrder, Market]:
    form = order_form(value)
    market = clients().markets.known(form.symbol) if SYMBOL.fullmatch(form.symbol) else None
    if market is None:
        raise unknown_symbol(form.symbol)
    origin = Origin(market.cell, caller.account_id, caller.signature, index, _now())
    order = place_order(form, market, origin)
    _check_time(order, origin.arrived)
    return order, market


def _check_time(order: PlaceOrder, arrived: int) -> None:
    """Refuse an order whose time is over, unless it is a copy of one that came before."""
    if order.expire_time is None or order.expire_time > arrived:
        return
    if _orders().by_id(order.account_id, order.order_id) is None:
        raise invalid_field("expire_time", "must be in the future")


def _leg(value: Any, caller: Caller, index: int) -> tuple[PlaceOrder, Market]:
    try:
        return _command(value, caller, index)
    except Rejected as error:
        raise of_leg(index, error) from None


def _submitted(command: Command) -> Answer:
    """Hand one command other than an order to the leader."""
    (answer,) = clients().engine.submit([command])
    app.received.log.update(cell=clients().settings.cell, sequence=answer.sequence, command=type(command).__name__)
    return answer


def _changed(command: CancelOrder | AmendOrder) -> Answer | Queued:
    """Hand a change of one order to the leader, or let it wait for one."""
    answer = clients().entrance.change(command, _prefers_async())
    app.received.log.update(order_id=command.order_id, cell=clients().settings.cell)
    if isinstance(answer, Answer):
        app.received.log["sequence"] = answer.sequence
    return answer


def _prefers_async() -> bool:
    return prefers_async(app.received.headers.get("prefer", ()))


def _queued(queued: Queued, command: PlaceOrder | CancelOrder | AmendOrder) -> Response[str]:
    """Answer 202: the command waits for a leader; the order can be read at its place."""
    app.received.log["queued"] = True
    app.received.reply_headers["Location"] = f"/v1/orders/{command.order_id}"
    if queued.order is None:
        return answered(outcomes.unread_document(command.order_id, command.account_id), 202)
    document: Document = {"order": order_document(queued.order, _market(queued.order.placed.symbol))}
    return answered({**document, "replayed": True} if queued.replayed else document, 202)


def _waiting(caller: Caller, order_ids: list[str]) -> OrderRecord | None:
    """Return one of these orders that was queued; only where the tables say that they have none does it wait still."""
    room = clients().waiting_room
    if room is None:
        return None
    noted = (room.noted(caller.account_id, order_id) for order_id in order_ids)
    return next((order for order in noted if order is not None), None)


def _item(value: Any, caller: Caller, index: int) -> tuple[PlaceOrder, Market] | Outcome:
    try:
        order, market = _command(value, caller, index)
    except Rejected as error:
        return outcomes.rejection(error, app.received.request_id)
    return order, market


def _batch_size() -> int:
    """Count the orders of a batch for the limit, before anything about them is judged."""
    try:
        orders = json.loads(app.received.body)["orders"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 1
    return min(max(len(orders), 1), MOST_BATCHED) if isinstance(orders, list) else 1


def _response(outcome: Outcome) -> Response[str]:
    return app.documented(outcome.status, outcome.document)


def _shown(record: Any) -> Response[str]:
    if record is None:
        raise _no_order()
    return answered({"order": order_document(record, _market(record.placed.symbol))})


def _symbol(query: Any) -> str | None:
    symbol: str | None = query.get("symbol")
    if symbol is not None and not (SYMBOL.fullmatch(symbol) and clients().markets.known(symbol)):
        raise pages.bad_query("symbol", "must be that of a market")
    return symbol


def _check_order_id(order_id: str) -> None:
    if not ORDER_ID.fullmatch(order_id):
        raise _no_order()


def _no_order() -> Rejected:
    return Rejected("resource.not_found", "The account has no such order.")


def _orders() -> Orders:
    return Orders(clients().database, clients().markets)


def _market(symbol: str) -> Market:
    return clients().markets.existing(symbol)


def _now() -> int:
    return time.time_ns() // 1000
