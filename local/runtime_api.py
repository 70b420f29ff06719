"""The Lambda Runtime API (2018-06-01) as one execution environment sees it; one invocation at a time, never two."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from local.http_server import Limits, Request, Server

PREFIX = b"/2018-06-01/runtime/"
NEXT = PREFIX + b"invocation/next"
INVOCATION = PREFIX + b"invocation/"
INIT_ERROR = PREFIX + b"init/error"
JSON = b"Content-Type: application/json\r\n"
LIMITS = Limits(body_bytes=6 << 20, header_bytes=2 << 20, request_seconds=60, idle_seconds=float("inf"), connections=16)


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
    """Return an error document in the shape of the Runtime API."""
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
        self._arn = function_arn
        self._ready = ready
        self._finished = finished
        self._init_failed = init_failed
        self._waiting: Request | None = None
        self._request_id = b""  # of the invocation under way
        self.server = Server(self._serve, LIMITS, refusal, joins_answers=True)

    def give(self, invocation: Invocation, timeout_seconds: float) -> None:
        """Answer the environment's waiting `next` with this invocation."""
        request, self._waiting = self._waiting, None
        assert request is not None, "only an environment that waits is given an invocation"
        self._request_id = invocation.request_id.encode()
        lines = (
            f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + timeout_seconds) * 1000)}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {self._arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {invocation.trace_id}\r\n"
            "Content-Type: application/json\r\n"
        )
        request.connection.respond(request, 200, lines.encode("latin-1", "replace"), invocation.payload)

    def _serve(self, request: Request) -> None:
        target = request.target
        if request.method == "GET" and target == NEXT:
            self._waiting = request
            self._ready()
        elif request.method == "POST" and target.startswith(INVOCATION):
            self._take(request, target[len(INVOCATION) :])
        elif request.method == "POST" and target == INIT_ERROR:
            self._init_failed(request.body)
            request.connection.respond(request, 202, JSON, b'{"status":"OK"}')
        else:
            request.connection.respond(request, 404, *refusal(404))

    def _take(self, request: Request, rest: bytes) -> None:
        request_id, _, kind = rest.partition(b"/")
        if request_id != self._request_id or kind not in (b"response", b"error"):
            request.connection.respond(request, 400, *refusal(400))
            return
        self._request_id = b""
        self._finished(Outcome("answer" if kind == b"response" else "error", request.body))
        request.connection.respond(request, 202, JSON, b'{"status":"OK"}')
