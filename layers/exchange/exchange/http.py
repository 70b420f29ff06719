"""HTTP as a load balancer hands it to a function: requests in, answers and problem documents out; it decides nothing.

`Resolver` is Powertools' resolver without its validation layer, plus what every answer of the contract has.
"""

import base64
import binascii
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import ALBResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from msgspec import Struct
from msgspec.json import Encoder

from exchange import signing
from exchange.errors import Rejected, Unavailable
from exchange.observability import Logger

Document = dict[str, Any]
Event = Mapping[str, Any]
Route = Callable[..., Response[str]]

MAX_BODY_BYTES = 64 * 1024
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
MOST_LOGGED = 200

_REQUEST_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
_encoder = Encoder()


class HttpRequest(Struct, frozen=True):
    """One request: names of headers in lower case, the query decoded once, the body as bytes.

    `reply_headers` collects what the answer will carry, `log` what its log line will. What is made for each request is
    a Struct here and beyond: a frozen dataclass costs ten times as much to make.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, list[str]]
    body: bytes
    request_id: str
    reply_headers: dict[str, str] = {}
    log: Document = {}

    def header(self, name: str) -> str | None:
        """Return the one value of a header, None without one; raise `Rejected` when it is repeated."""
        values = self.headers.get(name)
        if not values:
            return None
        if len(values) > 1:
            raise Rejected("request.invalid", f"The header {name} is repeated.", ((name, "must not be repeated"),))
        return values[0]

    @property
    def address(self) -> str:
        """The client's address: what the load balancer appended to X-Forwarded-For."""
        forwarded = self.headers.get("x-forwarded-for")
        return forwarded[-1].rpartition(",")[2].strip() if forwarded else ""


class Refused(Exception):  # noqa: N818 - it carries an answer, not a fault
    """A refusal that has its whole document already."""

    def __init__(self, status: int, document: Document):
        super().__init__(document["code"])
        self.status = status
        self.document = document


class Resolver(ALBResolver):
    """The routes of one function. Its `answer` never raises: a bug becomes a 500 and a log line.

    Rules, their order and the exception handlers are Powertools'. Calling a route is not: its chain of middleware,
    event classes and response builders, none of which is used here, costs 45 us of CPU an answer, this 8.
    """

    def __init__(self) -> None:
        super().__init__(serializer=text_of)
        self.received = HttpRequest("", "", {}, {}, b"", "")
        self.logger = Logger("edge", "WARNING")
        self._exact: dict[tuple[str, str], Route] = {}
        self._rules: list[tuple[str, re.Pattern[str], Route]] = []
        self.not_found(self._no_route)
        self.exception_handler(Rejected)(self._rejected)
        self.exception_handler(Unavailable)(self._unavailable)
        self.exception_handler(Refused)(lambda refused: self.documented(refused.status, refused.document))
        self.exception_handler(Exception)(self._bug)

    def route(self, rule: str, method: Any, *arguments: Any, **options: Any) -> Any:
        """Register a route, and remember its rule to find it at once and to tell a wrong path from a wrong method."""
        register = super().route(rule, method, *arguments, **options)

        def registered(function: Route) -> Route:
            if "<" not in rule:
                self._exact[method, rule] = function
            self._rules.append((method, self._compile_regex(rule), function))
            found: Route = register(function)
            return found

        return registered

    def answer(self, event: Event, context: Any) -> Document:
        """Answer one event of a load balancer with the response it expects."""
        started = time.perf_counter_ns()
        self.lambda_context = context
        headers = _headers_of(event)
        request_id = _request_id(headers)
        try:
            self.received = _received(event, headers, request_id)
        except Rejected as error:
            self.received = HttpRequest(event["httpMethod"], event["path"][:MOST_LOGGED], {}, {}, b"", request_id)
            response = self._handled(error)
        else:
            response = self._called(self.received.method, self.received.path)
        status = response.status_code
        self._log(status, started)
        carried = {**response.headers, **self.received.reply_headers, "X-Request-Id": request_id}
        reply = {
            "statusCode": status,
            "statusDescription": _description(status),
            "body": response.body,
            "isBase64Encoded": False,
        }
        if "multiValueHeaders" in event:
            reply["multiValueHeaders"] = {name: [value] for name, value in carried.items()}
        else:
            reply["headers"] = carried
        return reply

    def problem(self, code: str, detail: str, status: int, **members: Any) -> Response[str]:
        """Return a problem document about the request at hand."""
        return self.documented(status, problem_document(self.received.request_id, code, detail, status, **members))

    def documented(self, status: int, document: Document) -> Response[str]:
        """Return a document as an answer, as a problem from 400 on."""
        if status < 400:
            return Response(status, JSON, text_of(document))
        self.received.log["code"] = document["code"]
        return Response(status, PROBLEM_JSON, text_of(document))

    def _called(self, method: str, path: str) -> Response[str]:
        try:
            route, arguments = self._found(method, path)
            return route(**arguments)
        except Exception as error:  # noqa: BLE001 - the entry point: there is a handler for whatever is raised
            return self._handled(error)

    def _found(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of that very path, else the first whose rule matches, with its arguments."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for its_method, rule, route in self._rules:
            found = rule.match(path) if its_method == method else None
            if found:
                return route, found.groupdict()
        raise NotFoundError

    def _handled(self, error: Exception) -> Response[str]:
        handler = self.exception_handler_manager.lookup_exception_handler(type(error))
        assert handler is not None, "there is one for Exception"
        response: Response[str] = handler(error)
        return response

    def _no_route(self, _error: Exception) -> Response[str]:
        path = self.received.path
        allowed = sorted({method for method, rule, _ in self._rules if rule.match(path)})
        if not allowed:
            return self.problem("request.not_found", "There is nothing at this path.", 404)
        self.received.reply_headers["Allow"] = ", ".join(allowed)
        return self.problem("request.method", f"{self.received.method} is not possible here.", 405)

    def _rejected(self, error: Rejected) -> Response[str]:
        if error.status == 429:
            self.received.reply_headers.setdefault("Retry-After", "1")
        members = {"errors": [{"field": name, "message": rule} for name, rule in error.fields]} if error.fields else {}
        return self.problem(error.code, error.detail, error.status, **members)

    def _unavailable(self, error: Unavailable) -> Response[str]:
        self.received.reply_headers.setdefault("Retry-After", str(error.retry_after_s))
        self.received.log["detail"] = error.detail
        return self.problem("engine.unavailable", error.detail, 503, execution=error.execution)

    def _bug(self, error: Exception) -> Response[str]:
        self.logger.error("bug", error, request_id=self.received.request_id, path=self.received.path)
        return self.problem("internal.error", "This is our fault; what became of the request is unknown.", 500)

    def _log(self, status: int, started: int) -> None:
        received = self.received
        self.logger.info(
            "answered",
            request_id=received.request_id,
            method=received.method,
            path=received.path,
            status=status,
            duration_us=(time.perf_counter_ns() - started) // 1000,
            **received.log,
        )


def text_of(document: Any) -> str:
    """Print a document as JSON."""
    return _encoder.encode(document).decode()


def answered(document: Any, status: int = 200) -> Response[str]:
    """Return a document as an answer."""
    return Response(status, JSON, text_of(document))


def answered_text(text: str) -> Response[str]:
    """Return ready-made JSON as an answer."""
    return Response(200, JSON, text)


def problem_document(request_id: str, code: str, detail: str, status: int, **members: Any) -> Document:
    """Return an RFC 9457 problem with the members of the contract; those that are None are left out."""
    document = {
        "type": f"urn:exchange:problem:{code}",
        "title": _phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    document.update((name, value) for name, value in members.items() if value is not None)
    return document


def _received(event: Event, headers: dict[str, list[str]], request_id: str) -> HttpRequest:
    path = event["path"]
    problem = signing.path_problem(path)
    if problem:
        raise Rejected("request.invalid", f"The path {problem}.", (("path", problem),))
    return HttpRequest(event["httpMethod"], path, _query_of(event), headers, _body_of(event), request_id)


def _headers_of(event: Event) -> dict[str, list[str]]:
    several = event.get("multiValueHeaders")
    if several is None:
        return {name.lower(): [value] for name, value in (event.get("headers") or {}).items()}
    headers: dict[str, list[str]] = {}
    for sent, values in several.items():
        name = sent.lower()
        headers[name] = [*headers[name], *values] if name in headers else values
    return headers


def _query_of(event: Event) -> dict[str, str]:
    several = event.get("multiValueQueryStringParameters")
    if several is None:
        several = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    query: dict[str, str] = {}
    for raw_name, raw_values in several.items():
        try:
            name, values = signing.decoded(raw_name), [signing.decoded(value) for value in raw_values]
        except ValueError:
            rule = "must be percent-encoded UTF-8"
            raise Rejected("request.invalid", f"The query {rule}.", (("query", rule),)) from None
        if name in query or len(values) != 1:
            raise Rejected("request.invalid", "The query repeats a name.", ((name, "must not be repeated"),))
        query[name] = values[0]
    return query


def _body_of(event: Event) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(body, validate=True)
        except binascii.Error:
            raise Rejected("request.invalid", "The body could not be decoded.") from None
    else:
        raw = body.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BODY_BYTES:
        raise Rejected("request.too_large", f"A body has at most {MAX_BODY_BYTES} bytes.")
    return raw


def _request_id(headers: dict[str, list[str]]) -> str:
    sent = headers.get("x-request-id")
    if sent and _REQUEST_ID.fullmatch(sent[0]):
        return sent[0]
    return os.urandom(16).hex()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


@cache
def _description(status: int) -> str:
    return f"{status} {_phrase(status)}"
