"""A blocking client of the exchange; it never gives an order twice, however often it has to send it.

Every call is signed once and the same bytes are sent again after a 5xx or no reply, until the deadline: the exchange
answers copies of one request with the answer of the first. One `Client` holds one connection and serves one thread.
"""

import http.client
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

from client.signing import MAX_WINDOW_MS, Key, canonical_query, signed_headers

Document = dict[str, Any]

CLOCK_SLACK_MS = 5_000
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


class Rejected(Exception):  # noqa: N818 - the word of the exchange for the participant's fault
    """The exchange refused the call: a stable `code`, and the whole problem document."""

    def __init__(self, status: int, problem: Document):
        super().__init__(f"{status} {problem.get('code', '?')}: {problem.get('detail', '')}")
        self.status = status
        self.code: str = problem.get("code", "")
        self.problem = problem


class Unavailable(Exception):  # noqa: N818
    """No answer before the deadline; `execution` is "none" only where nothing can have happened, else "unknown"."""

    def __init__(self, execution: str, last: str):
        super().__init__(f"no answer before the deadline, execution {execution}: {last}")
        self.execution = execution


@dataclass(frozen=True, slots=True)
class Request:
    """One call, signed and ready to be sent as often as it takes."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the parsed body, or an empty one where it was not JSON of ours."""

    status: int
    document: Document
    retry_after_s: float

    @property
    def is_final(self) -> bool:
        """Tell whether sending the request again could not change the answer."""
        return self.status == 501 or (self.status < 500 and self.status != 429)


class Client:
    """One account's connection to the exchange, or an anonymous one where `key` is None."""

    def __init__(self, base_url: str, key: Key | None = None, deadline_s: float = 15.0, attempt_s: float = 6.0):
        self._base = urlsplit(base_url)
        if self._base.scheme not in ("http", "https") or not self._base.hostname:
            raise ValueError(f"{base_url!r} is no http or https address")
        self._key = key
        self._deadline_s = deadline_s
        self._attempt_s = attempt_s
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What traders ask

    def place(self, order: Document) -> Document:
        """Place one order, under a client_order_id made here where it has none; return `{"order", "fills"}`.

        While no leader answers it is `{"order"}`, `queued`: it will be executed once, or expire, and `order` tells.
        """
        return self.call("POST", "/v1/orders", document=with_id(order))

    def place_batch(self, orders: list[Document]) -> list[Document]:
        """Place up to 50 orders; return one result for each, in their order."""
        document = {"orders": [with_id(order) for order in orders]}
        results: list[Document] = self.call("POST", "/v1/orders/batch", document=document)["results"]
        return results

    def place_pair(self, first: Document, second: Document) -> Document:
        """Place two orders of which one cancels the other; return `{"orders", "fills"}`."""
        return self.call("POST", "/v1/orders/oco", document={"orders": [with_id(first), with_id(second)]})

    def test(self, order: Document) -> Document:
        """Check an order without placing it."""
        return self.call("POST", "/v1/orders/test", document=order)

    def amend(self, order_id: str, quantity: str | None = None, price: str | None = None) -> Document:
        """Change an open order's total quantity or its price; return `{"order", "fills", "priority_kept"}`."""
        changes = {name: value for name, value in (("quantity", quantity), ("price", price)) if value is not None}
        return self.call("PATCH", order_path(order_id), document=changes)

    def cancel(self, order_id: str) -> Document:
        """Cancel one order; return `{"order"}`."""
        return self.call("DELETE", order_path(order_id))

    def cancel_all(self, symbol: str | None = None, side: str | None = None) -> Document:
        """Cancel all open orders, of one market and side where given; return `{"canceled", "order_ids"}`."""
        return self.call("DELETE", "/v1/orders", {"symbol": symbol, "side": side})

    def cancel_all_after(self, timeout_ms: int) -> Document:
        """Let all open orders be canceled unless this is asked again in time; 0 disarms; return `{"cancel_time"}`."""
        return self.call("POST", "/v1/orders/cancel-all-after", document={"timeout_ms": timeout_ms})

    def order(self, order_id: str) -> Document:
        """Return one order by its id."""
        return self.call("GET", order_path(order_id))

    def order_by_client_id(self, client_order_id: str, symbol: str | None = None) -> Document:
        """Return one order by the id that its sender gave it."""
        return self.call("GET", f"/v1/orders/by-client-id/{quote(client_order_id, safe='')}", {"symbol": symbol})

    def balances(self) -> list[Document]:
        """Return the balance of each asset of the account."""
        return list(self.call("GET", "/v1/balances")["data"])

    def account(self) -> Document:
        """Return the account with its rates and limits."""
        return self.call("GET", "/v1/account")

    def orders(self, status: str | None = None, symbol: str | None = None) -> Iterator[Document]:
        """Yield the account's orders, newest first."""
        return self.pages("/v1/orders", {"status": status, "symbol": symbol})

    def fills(self, symbol: str | None = None, order_id: str | None = None) -> Iterator[Document]:
        """Yield the account's fills, newest first."""
        return self.pages("/v1/fills", {"symbol": symbol, "order_id": order_id})

    def ledger(self, asset: str | None = None) -> Iterator[Document]:
        """Yield the entries of the account's ledger, newest first."""
        return self.pages("/v1/ledger", {"asset": asset})

    # What anyone asks

    def markets(self) -> list[Document]:
        """Return every market."""
        return list(self.pages("/v1/markets", {}))

    def ticker(self, symbol: str) -> Document:
        """Return a market's last price, best prices and day."""
        return self.call("GET", f"/v1/markets/{quote(symbol, safe='')}/ticker")

    def book(self, symbol: str, depth: int = 50) -> Document:
        """Return a market's price levels, best first."""
        return self.call("GET", f"/v1/markets/{quote(symbol, safe='')}/book", {"depth": str(depth)})

    def trades(self, symbol: str) -> Iterator[Document]:
        """Yield a market's trades, newest first."""
        return self.pages(f"/v1/markets/{quote(symbol, safe='')}/trades", {})

    # What operators ask

    def create_account(self, name: str) -> Document:
        """Create an account; return it with its `account_id`."""
        return self.call("POST", "/v1/admin/accounts", document={"name": name})

    def create_api_key(self, account_id: str, scopes: list[str]) -> Document:
        """Create a key of an account; return it with its secret, which is shown this once."""
        return self.call("POST", f"{account_path(account_id)}/api-keys", document={"scopes": scopes})

    def deposit(self, account_id: str, asset: str, amount: str, reference: str) -> Document:
        """Credit an account; the same `reference` never credits twice."""
        document = {"asset": asset, "amount": amount, "reference": reference}
        return self.call("POST", f"{account_path(account_id)}/deposits", document=document)

    def change_account(self, account_id: str, status: str) -> Document:
        """Let an account do everything (`active`), only cancel (`cancel_only`) or nothing (`suspended`)."""
        return self.call("PATCH", account_path(account_id), document={"status": status})

    def kill(self, account_id: str) -> Document:
        """Cancel all open orders of an account and let it only cancel; return `{"canceled", "order_ids", ...}`."""
        return self.call("POST", f"{account_path(account_id)}/cancel-all")

    def change_market(self, symbol: str, settings: Document) -> Document:
        """Change settings of a market; return it."""
        return self.call("PATCH", f"/v1/admin/markets/{quote(symbol, safe='')}", document=settings)

    def halt(self) -> Document:
        """Halt every market."""
        return self.call("POST", "/v1/admin/halt")

    def resume(self) -> Document:
        """Put every market back to what it was before the halt."""
        return self.call("POST", "/v1/admin/resume")

    # How it is asked

    def call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | None] | None = None,
        document: Document | None = None,
    ) -> Document:
        """Send one call until it is answered; parameters that are None are left out.

        Raise `Rejected` where the exchange refused it, and `Unavailable` where the deadline passed first.
        """
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        request = self._signed(method, path, canonical_query(given), document)
        deadline, pause_s, last, execution = time.monotonic() + self._deadline_s, FIRST_PAUSE_S, "", "none"
        while True:
            try:
                reply = self._sent(request, deadline)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                last, execution = repr(error), "unknown"
            else:
                if reply.is_final:
                    return outcome(reply)
                last, pause_s = f"status {reply.status}", max(pause_s, reply.retry_after_s)
                if reply.status != 429 and reply.document.get("execution") != "none":
                    execution = "unknown"
            if time.monotonic() + pause_s >= deadline:
                raise Unavailable(execution, last)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def pages(self, path: str, parameters: Mapping[str, str | None]) -> Iterator[Document]:
        """Yield the entries of a list, page after page, each page asked for when it is reached."""
        cursor: str | None = None
        while True:
            page = self.call("GET", path, {**parameters, "cursor": cursor})
            yield from page["data"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _signed(self, method: str, path: str, query: str, document: Document | None) -> Request:
        body = b"" if document is None else json.dumps(document, separators=(",", ":")).encode()
        headers = {"Accept": "application/json"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        if self._key is not None:
            window_ms = min(int(self._deadline_s * 1000) + CLOCK_SLACK_MS, MAX_WINDOW_MS)
            now_ms = time.time_ns() // 1_000_000
            headers |= signed_headers(self._key, now_ms, window_ms, method, path, query, body)
        return Request(method, f"{path}?{query}" if query else path, headers, body)

    def _sent(self, request: Request, deadline: float) -> Reply:
        timeout_s = max(0.001, min(self._attempt_s, deadline - time.monotonic()))
        if self._connection is None:
            self._connection = self._opened(timeout_s)
        self._connection.timeout = timeout_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        self._connection.request(request.method, request.target, request.body or None, request.headers)
        response = self._connection.getresponse()
        return reply_of(response.status, response.getheader("Retry-After"), response.read())

    def _opened(self, timeout_s: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._base.scheme == "https" else http.client.HTTPConnection
        return kind(self._base.hostname or "", self._base.port, timeout=timeout_s)


def order_path(order_id: str) -> str:
    """Return the path of one order."""
    return f"/v1/orders/{quote(order_id, safe='')}"


def account_path(account_id: str) -> str:
    """Return the path of one account, for operators."""
    return f"/v1/admin/accounts/{quote(account_id, safe='')}"


def with_id(order: Document) -> Document:
    """Return `order` under a client_order_id, a new one where it names none."""
    return order if order.get("client_order_id") else {**order, "client_order_id": uuid.uuid4().hex}


def reply_of(status: int, retry_after: str | None, body: bytes) -> Reply:
    """Parse a reply; the body of a load balancer is not JSON and counts as empty."""
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = {}
    pause_s = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
    return Reply(status, document if isinstance(document, dict) else {}, pause_s)


def outcome(reply: Reply) -> Document:
    """Return the document of a reply; raise `Rejected` for a refusal."""
    if reply.status >= 400:
        raise Rejected(reply.status, reply.document)
    return reply.document
