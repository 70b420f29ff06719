"""A small HTTP/1.1 server over asyncio and httptools with bounds and deadlines everywhere; it knows no routes.

It carries the load balancer, the Runtime API and the invoke endpoint, all in one process.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import httptools

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
BODYLESS = (204, 304)
DISCARDED_BYTES = 16 << 20
LINGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost."""

    body_bytes: int = 1 << 20
    url_bytes: int = 16 << 10
    header_bytes: int = 64 << 10
    request_seconds: float = 10.0
    idle_seconds: float = 60.0
    write_seconds: float = 30.0
    connections: int = 2000
    pipelined: int = 32


class Request:
    """One whole request; `respond` (on its connection) may be called once."""

    __slots__ = ("body", "connection", "headers", "http10", "keep_alive", "method", "refused", "sizes", "target")

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.method = ""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.body = b""
        self.http10 = False
        self.keep_alive = True
        self.refused = 0  # the status it is refused with before any handler sees it
        self.sizes = 0

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of that lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Server:
    """The connections of one listening socket; `serve` gets each whole request and must answer it some time."""

    def __init__(
        self,
        serve: Callable[[Request], None],
        limits: Limits,
        refusal: Callable[[int], tuple[bytes, bytes]],
        server_header: bytes = b"",
    ) -> None:
        self.serve = serve
        self.limits = limits
        self.refusal = refusal  # status -> (header lines, body) of an answer that the server itself gives
        self.connections: set[Connection] = set()
        self.draining = False
        self._server_header = server_header
        self._date = b""
        self._date_second = 0

    def __call__(self) -> "Connection":
        """Make the protocol of a new connection, for `create_server`."""
        return Connection(self)

    def date_lines(self) -> bytes:
        """Return the Date (and Server) header lines, made once a second."""
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = b"Date: %b\r\n%b" % (formatdate(second, usegmt=True).encode(), self._server_header)
        return self._date

    async def sweep(self, period: float = 0.5) -> None:
        """Enforce the deadlines of all connections, for ever."""
        while True:
            await asyncio.sleep(period)
            now = time.monotonic()
            for connection in [*self.connections]:
                connection.check_deadline(now)

    async def drain(self, seconds: float) -> None:
        """Close what is idle, let requests under way end for at most `seconds`, then cut off the rest."""
        self.draining = True
        deadline = time.monotonic() + seconds
        while self.connections and time.monotonic() < deadline:
            for connection in [*self.connections]:
                connection.close_if_idle()
            await asyncio.sleep(0.02)
        for connection in [*self.connections]:
            connection.abort()


class Connection(asyncio.Protocol):
    """One client connection: requests are served one after the other, in the order they came."""

    __slots__ = (
        "_began", "_busy", "_closing", "_current", "_discarding", "_parser", "_paused", "_pending", "_running",
        "_server", "_since", "_transport", "_write_blocked", "peer",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser: Any = httptools.HttpRequestParser(self)
        self._pending: deque[Request] = deque()
        self._current: Request | None = None  # being received
        self._busy: Request | None = None  # being served
        self._began = 0.0  # when the request being received began
        self._since = 0.0  # idle since
        self._write_blocked = 0.0
        self._discarding = 0  # bytes still taken and thrown away from a client that was refused
        self._paused = self._closing = self._running = False
        self._transport: Any = None
        self.peer = ""

    # asyncio ------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._transport = transport
        self._since = time.monotonic()
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        if len(self._server.connections) >= self._server.limits.connections:
            self._refuse_and_close(503)
        else:
            self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection; an answer under way is dropped."""
        self._server.connections.discard(self)
        self._closing = True
        self._pending.clear()
        self._busy = self._current = None

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._write_blocked = time.monotonic()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._write_blocked = 0.0
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Parse what came and serve whole requests."""
        if self._closing:
            self._discard(len(data))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stop_after_current()
        except httptools.HttpParserError:
            self._refuse_received(400)
        if len(self._pending) >= self._server.limits.pipelined and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._advance()

    def eof_received(self) -> bool:
        """Keep the connection for the answers still owed to a client that has only stopped sending."""
        if self._pending:
            self._pending[-1].keep_alive = False
        elif self._busy is not None:
            self._busy.keep_alive = False
        return bool(self._pending or self._busy) and not self._closing

    # httptools ----------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """Start a request."""
        self._current = Request(self)
        self._began = time.monotonic()

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request target."""
        request = self._current
        if request is not None:
            request.target += url
            if len(request.target) > self._server.limits.url_bytes:
                self._refuse_received(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        request = self._current
        if request is not None:
            request.sizes += len(name) + len(value)
            request.headers.append((name.lower(), value))
            if request.sizes > self._server.limits.header_bytes:
                self._refuse_received(431)

    def on_headers_complete(self) -> None:
        """Refuse early what is too large; invite a body that waits for it."""
        request = self._current
        if request is None:
            return
        request.sizes = 0
        length = request.header(b"content-length")
        if length is not None and int(length) > self._server.limits.body_bytes:
            self._refuse_received(413)
        elif request.header(b"expect") is not None and self._busy is None and not self._pending:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        request = self._current
        if request is None:
            return
        request.body = request.body + body if request.body else body
        if len(request.body) > self._server.limits.body_bytes:
            self._refuse_received(413)

    def on_message_complete(self) -> None:
        """Queue the whole request."""
        request, self._current = self._current, None
        if request is None:
            return
        request.method = self._parser.get_method().decode("latin-1")
        request.http10 = self._parser.get_http_version() == "1.0"
        request.keep_alive = self._parser.should_keep_alive()
        self._pending.append(request)

    @property
    def is_closed(self) -> bool:
        """Tell whether an answer could still go out."""
        return self._closing

    # answering ----------------------------------------------------------------------------------
    def respond(self, request: Request, status: int, header_lines: bytes, body: bytes) -> None:
        """Answer `request`; `header_lines` each end with CRLF and leave out length, date and connection."""
        if request is not self._busy or self._closing:
            return  # the client has gone
        keep = request.keep_alive and not self._server.draining
        self._write(status, header_lines, body, keep=keep, head=request.method == "HEAD")
        self._busy = None
        self._since = time.monotonic()
        if keep:
            self._advance()
        elif request.refused:
            self._linger()
        else:
            self.close()

    def _write(self, status: int, header_lines: bytes, body: bytes, *, keep: bool, head: bool = False) -> None:
        length = b"" if status in BODYLESS else b"Content-Length: %d\r\n" % len(body)
        self._transport.write(
            b"HTTP/1.1 %d %b\r\n%b%b%bConnection: %b\r\n\r\n%b"
            % (
                status,
                REASONS.get(status, b"Unknown"),
                self._server.date_lines(),
                header_lines,
                length,
                b"keep-alive" if keep else b"close",
                b"" if head or status in BODYLESS else body,
            )
        )

    def _advance(self) -> None:
        if self._running:
            return  # a handler that answered at once: the loop below goes on
        self._running = True
        while self._pending and self._busy is None and not self._closing and not self._write_blocked:
            request = self._busy = self._pending.popleft()
            if request.refused:
                header_lines, body = self._server.refusal(request.refused)
                self.respond(request, request.refused, header_lines, body)
            else:
                self._server.serve(request)
        self._running = False
        if self._paused and not self._closing and len(self._pending) < self._server.limits.pipelined:
            self._paused = False
            self._transport.resume_reading()

    def _refuse_received(self, status: int) -> None:
        # Answered in its turn, after the requests before it; nothing more is read from this client.
        request = Request(self)
        request.refused, request.keep_alive = status, False
        if self._current is not None or not self._pending or not self._pending[-1].refused:
            self._pending.append(request)
        self._current = None
        self._began = 0.0
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _stop_after_current(self) -> None:
        # A client that asked for another protocol is answered in this one, then closed.
        if self._pending:
            self._pending[-1].keep_alive = False
        elif self._busy is not None:
            self._busy.keep_alive = False

    def _refuse_and_close(self, status: int) -> None:
        header_lines, body = self._server.refusal(status)
        self._write(status, header_lines, body, keep=False)
        self._linger()

    # ending -------------------------------------------------------------------------------------
    def check_deadline(self, now: float) -> None:
        """Refuse a client that sends too slowly, cut off one that does not read, close one that is idle."""
        limits = self._server.limits
        if self._discarding > 0:
            if now - self._since > LINGER_SECONDS:
                self.abort()
        elif self._write_blocked and now - self._write_blocked > limits.write_seconds:
            self.abort()
        elif self._busy is not None or self._pending:
            return
        elif self._current is not None:
            if now - self._began > limits.request_seconds:
                self._refuse_and_close(408)
        elif now - self._since > limits.idle_seconds:
            self.close()

    def _linger(self) -> None:
        # A client that is still sending would lose the answer to a reset if the socket were closed under it.
        self._closing = True
        self._discarding = DISCARDED_BYTES
        self._since = time.monotonic()
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._server.connections.add(self)

    def _discard(self, size: int) -> None:
        self._discarding -= size
        if self._discarding <= 0:
            self.abort()

    def close_if_idle(self) -> None:
        """Close unless a request is being served or received."""
        if self._busy is None and self._current is None and not self._pending:
            self.close()

    def close(self) -> None:
        """Close after what was written has gone out."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._transport.abort()
