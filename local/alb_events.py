"""The events an Application Load Balancer gives to a function and the answers it takes back; pure, no sockets.

Source: the AWS guide "Use Lambda functions as targets of an Application Load Balancer".
"""

import base64
import binascii
import re
from functools import lru_cache
from typing import Any

import msgspec

PLAIN_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
NOT_FORWARDED = frozenset((b"transfer-encoding", b"expect", b"te", b"trailer", b"proxy-authorization"))
NOT_RETURNED = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer", "date", "server")
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_encode = msgspec.json.Encoder().encode


class Received(msgspec.Struct, frozen=True):
    """One HTTP request as it came in over the wire."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str
    port: int
    trace_id: str


class _Answer(msgspec.Struct):
    statusCode: int  # noqa: N815 - AWS's names
    body: str | None = None
    isBase64Encoded: bool = False  # noqa: N815
    headers: dict[str, str] | None = None
    multiValueHeaders: dict[str, list[str]] | None = None  # noqa: N815


_decode = msgspec.json.Decoder(_Answer).decode


class Answer(msgspec.Struct, frozen=True):
    """What goes back to the client; `header_lines` each end with CRLF."""

    status: int
    header_lines: bytes
    body: bytes


class MalformedAnswer(ValueError):  # noqa: N818 - reads as what it says
    """The function's answer is none that a load balancer can pass on; the client gets 502."""


def path_and_query(target: bytes) -> tuple[str, str]:
    """Split a request target as received; the absolute form loses its scheme and authority, nothing is decoded."""
    text = target.decode("latin-1")
    if not text.startswith("/") and "://" in text:
        rest = text.split("://", 1)[1]
        cut = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
        text = rest[cut:]
    path, _, query = text.partition("?")
    return path or "/", query


def event(received: Received, path: str, query: str, target_group_arn: str, *, multi_value: bool) -> bytes:
    """Build the JSON event; query names and values are not decoded, header names are in lower case."""
    headers = _forwarded_headers(received)
    parameters = [part.partition("=") for part in query.split("&") if part]
    body, encoded = _event_body(received.body, headers)
    content: dict[str, Any] = {
        "requestContext": {"elb": {"targetGroupArn": target_group_arn}},
        "httpMethod": received.method,
        "path": path,
    }
    if multi_value:
        query_values: dict[str, list[str]] = {}
        for name, _, value in parameters:
            query_values.setdefault(name, []).append(value)
        content["multiValueQueryStringParameters"] = query_values
        content["multiValueHeaders"] = headers
    else:  # the last value of a repeated name wins
        content["queryStringParameters"] = {name: value for name, _, value in parameters}
        content["headers"] = {name: values[-1] for name, values in headers.items()}
    content["body"] = body
    content["isBase64Encoded"] = encoded
    return _encode(content)


def _forwarded_headers(received: Received) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in received.headers:
        if name not in NOT_FORWARDED:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    headers["x-forwarded-for"] = [", ".join([*headers.get("x-forwarded-for", ()), received.client])]
    headers["x-forwarded-port"] = [str(received.port)]
    headers["x-forwarded-proto"] = ["http"]
    given = headers.get("x-amzn-trace-id")
    headers["x-amzn-trace-id"] = [f"Self={received.trace_id[5:]};{given[0]}" if given else received.trace_id]
    return headers


def _event_body(body: bytes, headers: dict[str, list[str]]) -> tuple[str, bool]:
    if not body:
        return "", False
    if "content-encoding" not in headers and headers.get("content-type", [""])[0].lower().startswith(PLAIN_TYPES):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # no JSON event can carry such bytes as they are
    return base64.b64encode(body).decode(), True


def answer(payload: bytes, *, multi_value: bool, limit: int) -> Answer:
    """Read a function's answer; raise `MalformedAnswer` for one that a load balancer refuses."""
    if len(payload) > limit:
        raise MalformedAnswer(f"the answer of {len(payload)} bytes is larger than {limit}")
    try:
        parsed = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedAnswer(str(error)) from error
    if not 200 <= parsed.statusCode <= 599:
        raise MalformedAnswer(f"statusCode is {parsed.statusCode}")
    lines: list[str] = []
    if multi_value:
        for name, values in (parsed.multiValueHeaders or {}).items():
            lines += [_header_line(name, value) for value in values]
    else:
        lines += [_header_line(name, value) for name, value in (parsed.headers or {}).items()]
    return Answer(parsed.statusCode, "".join(lines).encode("latin-1"), _answer_body(parsed))


def _header_line(name: str, value: str) -> str:
    if not _is_returned(name):
        return ""
    if not HEADER_VALUE.fullmatch(value):
        raise MalformedAnswer(f"the header {name!r} is malformed")
    return f"{name}: {value}\r\n"


@lru_cache(1024)
def _is_returned(name: str) -> bool:
    if name.lower() in NOT_RETURNED:
        return False
    if not HEADER_NAME.fullmatch(name):
        raise MalformedAnswer(f"the header {name!r} is malformed")
    return True


def _answer_body(parsed: _Answer) -> bytes:
    body = parsed.body or ""
    if not parsed.isBase64Encoded:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise MalformedAnswer("the body is no base64") from error
