"""Administration over HTTP: parse, call, answer; everything it changes goes through the engine."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from exchange import amounts, outcomes, pages, sealing
from exchange.clients import Clients
from exchange.commands import (
    ChangeAccount,
    Command,
    CreateAccount,
    CreateApiKey,
    CreateAsset,
    CreateMarket,
    DeleteApiKey,
    HaltExchange,
    KillSwitch,
    ResumeExchange,
)
from exchange.documents import market_document
from exchange.errors import Rejected, Unavailable
from exchange.events import AccountChanged, MarketChanged
from exchange.forms import form_of, json_of, not_built
from exchange.gate import Gate
from exchange.http import Document, Event, Refused, Resolver, answered
from exchange.keys import new_api_key, new_secret
from exchange.orders import id_of_signature
from exchange.requests_admin import (
    AccountForm,
    AccountStatusForm,
    AssetForm,
    EmptyForm,
    TransferForm,
    account_id_of,
    api_key_form,
    no_account,
    transfer,
)
from exchange.requests_admin_markets import MarketChangeForm, MarketForm, change_market, create_market
from exchange.settings import Edge, load
from exchange.stores.history import INTERVALS_S
from exchange.symbols import ACCOUNT_ID, API_KEY, SYMBOL
from exchange.times import time_text
from exchange.wire import Answer

FILTERS = ("account_id", "symbol", "side", "status", "from", "to", "min_quantity", "text")
REPORTS = ("volume", "top-accounts", "order-to-trade", "latency", "reconciliation")

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


@cache
def search_client() -> Any:
    """Make the search client when the first search is asked for; its import is dear."""
    from exchange import search

    return search.client(clients().settings.search_url)


@app.get("/v1/live")
def live() -> Response[str]:
    """Tell the load balancer that this function runs, asking nothing."""
    return answered({"status": "ok"})


@app.post("/v1/admin/assets")
def create_asset() -> Response[str]:
    """Create an asset."""
    _admin()
    form = form_of(AssetForm, json_of(app.received))
    answer = _submitted(CreateAsset(form.asset, form.decimals))
    return _created(answer, {"asset": form.asset, "decimals": form.decimals})


@app.post("/v1/admin/accounts")
def create_account() -> Response[str]:
    """Create an account under an id that a copy of the request gets too."""
    request_id = _admin()
    form = form_of(AccountForm, json_of(app.received))
    answer = _submitted(CreateAccount(request_id, account_id_of(request_id), form.name))
    return _created(answer, {"account_id": account_id_of(request_id), "name": form.name, "status": "active"})


@app.patch("/v1/admin/accounts/<account_id>")
def change_account(account_id: str) -> Response[str]:
    """Change what an account may do."""
    request_id = _admin()
    _check_account(account_id)
    form = form_of(AccountStatusForm, json_of(app.received))
    answer = _submitted(ChangeAccount(request_id, account_id, form.status))
    return answered(outcomes.replayed({"account_id": account_id, "status": form.status}, answer))


@app.post("/v1/admin/accounts/<account_id>/deposits")
def deposit(account_id: str) -> Response[str]:
    """Bring funds in."""
    return _transferred("deposit", account_id)


@app.post("/v1/admin/accounts/<account_id>/withdrawals")
def withdraw(account_id: str) -> Response[str]:
    """Take funds out of what is available."""
    return _transferred("withdrawal", account_id)


@app.post("/v1/admin/accounts/<account_id>/api-keys")
def create_api_key(account_id: str) -> Response[str]:
    """Create a key and show its secret, this once; a copy of the request gets the first one."""
    request_id = _admin()
    _check_account(account_id)
    form = api_key_form(json_of(app.received))
    key_encryption_key, api_key = clients().settings.key_encryption_key, new_api_key()
    sealed = sealing.seal(key_encryption_key, api_key, new_secret())
    allowed = tuple(form.ip_allow_list or ())
    answer = _submitted(CreateApiKey(request_id, account_id, api_key, sealed, tuple(form.scopes), allowed))
    first = answer.command
    assert isinstance(first, CreateApiKey)
    document = {
        "api_key": first.api_key,
        "secret": sealing.opened(key_encryption_key, first.api_key, first.encrypted_secret),
        "account_id": first.account_id,
        "scopes": first.scopes,
        "ip_allow_list": first.ip_allow_list,
    }
    return _created(answer, document)


@app.delete("/v1/admin/api-keys/<api_key>")
def delete_api_key(api_key: str) -> Response[str]:
    """Delete a key for ever."""
    request_id = _admin()
    if not API_KEY.fullmatch(api_key):
        raise Rejected("resource.not_found", "There is no such key.")
    answer = _submitted(DeleteApiKey(request_id, api_key))
    return answered(outcomes.replayed({"api_key": api_key, "deleted": True}, answer))


@app.post("/v1/admin/markets")
def open_market() -> Response[str]:
    """Create a market."""
    _admin()
    form = form_of(MarketForm, json_of(app.received))
    markets, settings = clients().markets, clients().settings
    base, quote = markets.asset(form.base), markets.asset(form.quote)
    answer = _submitted(create_market(form, base, quote, settings.cell, settings.home_region))
    first = answer.command
    assert isinstance(first, CreateMarket)
    return _created(answer, market_document(first.market))


@app.patch("/v1/admin/markets/<symbol>")
def patch_market(symbol: str) -> Response[str]:
    """Change settings of a market."""
    request_id = _admin()
    market = clients().markets.known(symbol) if SYMBOL.fullmatch(symbol) else None
    if market is None:
        raise Rejected("resource.not_found", "There is no such market.")
    form = form_of(MarketChangeForm, json_of(app.received))
    answer = _submitted(change_market(form, market, request_id))
    changed = next(event.market for event in answer.events if isinstance(event, MarketChanged))
    return answered(outcomes.replayed(market_document(changed), answer))


@app.post("/v1/admin/halt")
def halt() -> Response[str]:
    """Halt every market."""
    request_id = _admin()
    _check_empty()
    return answered(outcomes.replayed({"halted": True}, _submitted(HaltExchange(request_id))))


@app.post("/v1/admin/resume")
def resume() -> Response[str]:
    """Put every market back to what it was before the halt."""
    request_id = _admin()
    _check_empty()
    return answered(outcomes.replayed({"halted": False}, _submitted(ResumeExchange(request_id))))


@app.post("/v1/admin/accounts/<account_id>/cancel-all")
def pull_kill_switch(account_id: str) -> Response[str]:
    """Cancel every open order of an account, and let it only cancel from then on."""
    request_id = _admin()
    _check_account(account_id)
    _check_empty()
    answer = _submitted(KillSwitch(request_id, account_id))
    changed = next(event for event in answer.events if isinstance(event, AccountChanged))
    return answered({"account_id": account_id, "status": changed.status, **outcomes.canceled_document(answer)})


@app.get("/v1/admin/search/orders")
def search_orders() -> Response[str]:
    """Search the orders of all accounts."""
    return _searched("search_orders")


@app.get("/v1/admin/search/trades")
def search_trades() -> Response[str]:
    """Search all trades."""
    return _searched("search_trades")


@app.get("/v1/admin/search/events")
def search_events() -> Response[str]:
    """Refuse what is not built yet, after what is malformed."""
    _check_search()
    raise not_built()


@app.get("/v1/admin/reports/<report>")
def show_report(report: str) -> Response[str]:
    """Refuse what is not built yet, after what is malformed."""
    query = _reader("symbol", "interval", "from", "to")
    if report not in REPORTS:
        raise Rejected("request.not_found", "There is no such report.")
    _check_symbol(query)
    pages.choice_of(query, "interval", tuple(INTERVALS_S))
    first, last = pages.time_of(query, "from"), pages.time_of(query, "to")
    if first is not None and last is not None and first > last:
        raise pages.bad_query("to", "must not be before from")
    raise not_built()


@app.get("/v1/admin/alerts")
def list_alerts() -> Response[str]:
    """Refuse what is not built yet, after what is malformed."""
    _check_search()
    raise not_built()


def _admin() -> str:
    """Let an operator change something; return the id of the request."""
    caller = gate().changer(app.received, "admin")
    app.received.log["caller"] = caller.account_id
    pages.query_of(app.received.query)
    return id_of_signature(caller.signature, 0)


def _reader(*names: str) -> Any:
    gate().reader(app.received, "admin")
    return pages.query_of(app.received.query, *names)


def _submitted(command: Command) -> Answer:
    """Return the answer of a command that was done; raise `Refused` for one that was not."""
    (answer,) = clients().engine.submit([command])
    app.received.log.update(cell=clients().settings.cell, sequence=answer.sequence, command=type(command).__name__)
    if answer.code is not None:
        outcome = outcomes.refusal(answer, app.received.request_id)
        raise Refused(outcome.status, outcome.document)
    return answer


def _created(answer: Answer, document: Document) -> Response[str]:
    return answered(outcomes.replayed(document, answer), 201)


def _transferred(kind: str, account_id: str) -> Response[str]:
    _admin()
    _check_account(account_id)
    form = form_of(TransferForm, json_of(app.received))
    asset = clients().markets.asset(form.asset)
    command = transfer(form, kind, account_id, asset)
    assert asset is not None
    answer = _submitted(command)
    document = {
        "account_id": account_id,
        "kind": kind,
        "asset": command.asset,
        "amount": amounts.text(command.amount, asset.decimals),
        "reference": command.reference,
        "sequence": answer.sequence,
        "time": time_text(answer.time),
    }
    return _created(answer, document)


def _searched(name: str) -> Response[str]:
    query = dict(_reader(*FILTERS, "limit", "cursor"))
    limit, cursor = pages.limit_of(query), query.pop("cursor", None)
    query.pop("limit", None)
    _check_symbol(query)
    if not clients().settings.search_url:
        raise Unavailable("There is no search index.", execution="none")
    from exchange import search

    found = getattr(search, name)(search_client(), query, limit, cursor)
    return answered({"data": found.documents, "next_cursor": found.next_cursor})


def _check_search() -> None:
    """Check a search that is not built yet; there is no cursor that it could have given."""
    from exchange import search

    query = dict(_reader(*FILTERS, "limit", "cursor"))
    pages.limit_of(query)
    query.pop("limit", None)
    if "cursor" in query:
        raise pages.bad_query("cursor", "is none of this list")
    _check_symbol(query)
    search.check_filters(query)


def _check_symbol(query: Mapping[str, str]) -> None:
    symbol = query.get("symbol")
    if symbol is not None and not (SYMBOL.fullmatch(symbol) and clients().markets.known(symbol)):
        raise pages.bad_query("symbol", "must be that of a market")


def _check_empty() -> None:
    if app.received.body:
        form_of(EmptyForm, json_of(app.received))


def _check_account(account_id: str) -> None:
    if not ACCOUNT_ID.fullmatch(account_id):
        raise no_account()
