"""The Lambda Runtime API (2018-06-01) as one execution environment sees it; one invocation at a time, never two."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

PREFIX = b"/2018-06-01/runtime/"
GET_NEXT = b"GET " + PREFIX + b"invocation/next "
POST_INVOCATION = b"POST " + PREFIX + b"invocation/"
POST_INIT_ERROR = b"POST " + PREFIX + b"init/error "
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
PAYLOAD_BYTES = 6 << 20
JSON = b"Content-Type: application/json\r\n"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\n%bContent-Length: 16\r\n\r\n{"status": "OK"}' % JSON
TOO_LARGE = b'{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded 6 MB."}'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an invocation: the function's answer or error document, or why there is none."""

    kind: Literal["answer", "error", "crash", "timeout", "capacity", "waited"]
    payload: bytes = b""


class Invocation:
    """One event for a function and the one who waits for its outcome; `deliver` is called exactly once."""

    __slots__ = ("deliver", "payload", "queued_at", "request_id", "trace_id")

    def __init__(self, payload: bytes, trace_id: str, deliver: Callable[[Outcome], None]) -> None:
        self.payload = payload
        self.trace_id = trace_id
        self.deliver = deliver
        self.queued_at = time.monotonic()
        digits = os.urandom(16).hex()
        self.request_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def refusal(status: int) -> tuple[bytes, bytes]:
    """Return an error document in the shape of Lambda's own."""
    return JSON, b'{"errorMessage":"status %d","errorType":"InvalidRequest"}' % status


class RuntimeApi:
    """The server of one environment: hands it invocations and takes its answers."""

    def __init__(
        self,
        function_arn: str,
        ready: Callable[[], None],
        finished: Callable[[Outcome], None],
        init_failed: Callable[[bytes], None],
    ) -> None:
        self.ready = ready
        self.finished = finished
        self.init_failed = init_failed
        self.request_id = b""  # of the invocation under way
        self.waiting: Connection | None = None  # the connection that asked for the next invocation
        self.connections: set[Connection] = set()
        self._arn = function_arn

    def __call__(self) -> "Connection":
        """Make the protocol of a new connection, for `create_server`."""
        return Connection(self)

    def give(self, invocation: Invocation, timeout_seconds: float) -> None:
        """Answer the environment's waiting `next` with this invocation."""
        connection, self.waiting = self.waiting, None
        assert connection is not None, "only an environment that waits is given an invocation"
        self.request_id = invocation.request_id.encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + timeout_seconds) * 1000)}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {self._arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {invocation.trace_id}\r\n"
            f"Content-Length: {len(invocation.payload)}\r\n\r\n"
        )
        connection.answer(head.encode("latin-1", "replace") + invocation.payload)

    def take(self, request_id: bytes, outcome: Outcome) -> bool:
        """Take the outcome of the invocation under way; False when it is another's."""
        if not self.request_id or request_id != self.request_id:
            return False
        self.request_id = b""
        self.finished(outcome)
        return True


class Connection(asyncio.Protocol):
    """A connection of an environment's runtime client.

    The only one who connects is a process that we started, so requests are cut out of the bytes by their length alone:
    measured, half of what a full parser costs, and this is half of what the edge does for a request.
    """

    __slots__ = ("_api", "_buffer", "_held", "_more", "_transport")

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._buffer = b""
        self._held = b""  # the answer to a request that was followed by another: they go out together
        self._more = False  # whether another request has come already
        self._transport: Any = None

    @property
    def is_closed(self) -> bool:
        """Tell whether an answer could still go out."""
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport
        self._api.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection."""
        self._transport = None
        self._api.connections.discard(self)

    def answer(self, data: bytes) -> None:
        """Send an answer, or keep it for the next one when the next request is here already."""
        if self._more:
            self._held += data
        elif self._transport is not None:
            self._transport.write(self._held + data)
            self._held = b""

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Cut out whole requests and serve them in order."""
        data = self._buffer + data if self._buffer else data
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            head, stop = data[:end], end + 4
            if not head.startswith(GET_NEXT):
                length = LENGTH.search(head)
                stop += int(length[1]) if length else 0
                if stop - end - 4 > PAYLOAD_BYTES:
                    self._refuse_payload(head)
                    return
                if len(data) < stop:
                    if len(data) == end + 4 and EXPECT.search(head):
                        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    break
            self._more = len(data) > stop
            self._serve(head, data[end + 4 : stop])
            data = data[stop:]
        self._buffer = data

    def _serve(self, head: bytes, body: bytes) -> None:
        if head.startswith(GET_NEXT):
            self._more = False
            self._api.waiting = self
            self._api.ready()
        elif head.startswith(POST_INVOCATION):
            request_id, kind = _place(head)
            outcome = Outcome("error" if kind == b"error" else "answer", body)
            known = kind in (b"response", b"error") and self._api.take(request_id, outcome)
            self.answer(ACCEPTED if known else _refused(400))
        elif head.startswith(POST_INIT_ERROR):
            self._api.init_failed(body)
            self.answer(ACCEPTED)
        else:
            self.answer(_refused(404))

    def _refuse_payload(self, head: bytes) -> None:
        if head.startswith(POST_INVOCATION):
            self._api.take(_place(head)[0], Outcome("error", TOO_LARGE))
        self.answer(_refused(413))
        self._transport.close()


def _place(head: bytes) -> tuple[bytes, bytes]:
    request_id, _, kind = head[len(POST_INVOCATION) : head.index(b" ", len(POST_INVOCATION))].partition(b"/")
    return request_id, kind


def _refused(status: int) -> bytes:
    lines, body = refusal(status)
    return b"HTTP/1.1 %d Refused\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)
