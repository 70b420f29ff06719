"""A keep-alive HTTP/1.1 connection for load, as lean as asyncio allows; it never has two requests under way.

Lean because a generator shares the cores of one machine with the exchange that it measures.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from client.signing import Key, signature

HEAD_END = b"\r\n\r\n"
MAX_HEAD_BYTES = 64 * 1024
BODILESS = (204, 304)


class ResponseError(Exception):
    """The peer sent what this client cannot read; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response: the raw head, without the empty line at its end, and the whole body."""

    status: int
    head: bytes
    body: bytes


class ResponseReader:
    """Puts the bytes of one connection together again as responses that carry a Content-Length."""

    __slots__ = ("_body_start", "_buffer", "_end")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_start = 0
        self._end = 0

    def feed(self, data: bytes) -> Response | None:
        """Take what arrived; return the response once it is whole. Raise `ResponseError` for anything else."""
        buffer = self._buffer
        buffer += data
        if not self._end:
            position = buffer.find(HEAD_END)
            if position < 0:
                if len(buffer) > MAX_HEAD_BYTES:
                    raise ResponseError("a head without an end")
                return None
            self._body_start = position + len(HEAD_END)
            self._end = self._body_start + body_length(bytes(buffer[:position]))
        if len(buffer) < self._end:
            return None
        head = bytes(buffer[: self._body_start - len(HEAD_END)])
        response = Response(int(head[9:12]), head, bytes(buffer[self._body_start : self._end]))
        del buffer[: self._end]
        self._end = 0
        return response


def body_length(head: bytes) -> int:
    """Return how many bytes of body follow `head`; raise `ResponseError` where it does not say so."""
    if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit():
        raise ResponseError(f"no HTTP/1.1 response: {head[:40]!r}")
    start = head.lower().find(b"\r\ncontent-length:")
    if start < 0:
        if int(head[9:12]) in BODILESS:
            return 0
        raise ResponseError("a response without Content-Length")
    length = head[start + 17 :].partition(b"\r\n")[0].strip()
    if not length.isdigit():
        raise ResponseError(f"a Content-Length of {length[:20]!r}")
    return int(length)


class Connection(asyncio.Protocol):
    """One connection: `send` a request, await its response, send the next."""

    __slots__ = ("_loop", "_reader", "_transport", "_waiting", "sent_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self.sent_at = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Send one whole request; the future fails with `ConnectionError` when the connection is lost first."""
        if self._waiting is not None:
            raise RuntimeError("a connection has one request under way at a time")
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._waiting = self._loop.create_future()
        self.sent_at = time.monotonic()
        self._transport.write(request)
        return self._waiting

    def abort(self) -> None:
        """Close at once; what is under way fails."""
        if self._transport is not None:
            self._transport.abort()

    def abort_if_silent(self, deadline_s: float) -> None:
        """Close where a response has been awaited for longer than `deadline_s`."""
        if self._waiting is not None and time.monotonic() - self.sent_at > deadline_s:
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Complete the response under way."""
        try:
            response = self._reader.feed(data)
        except ResponseError as error:
            self._finish(error)
            self.abort()
            return
        if response is not None:
            self._finish(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way: whether it was executed is unknown."""
        self._transport = None
        self._finish(exc if isinstance(exc, ConnectionError) else ConnectionResetError("the connection was closed"))

    def _finish(self, result: Response | Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if isinstance(result, Response):
            waiting.set_result(result)
        else:
            waiting.set_exception(result)


async def connect(host: str, port: int, timeout_s: float = 5.0) -> Connection:
    """Open a connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, connection = await loop.create_connection(lambda: Connection(loop), host, port)
    return connection


def address_of(base_url: str) -> tuple[str, int]:
    """Return host and port of a plain http address; raise `ValueError` for any other."""
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{base_url!r} is no http address: load is generated without TLS")
    return parts.hostname, parts.port or 80


class RequestWriter:
    """Writes the requests of one key, or anonymous ones, as bytes ready to be sent."""

    __slots__ = ("_head", "_key", "_window_ms")

    def __init__(self, base_url: str, key: Key | None = None, window_ms: int = 20_000) -> None:
        host, port = address_of(base_url)
        self._key = key
        self._window_ms = window_ms
        self._head = f"Host: {host}:{port}\r\n"
        if key is not None:
            self._head += f"X-Api-Key: {key.api_key}\r\nX-Api-Window: {window_ms}\r\n"

    def written(self, now_ms: int, method: str, path: str, query: str = "", body: bytes = b"") -> bytes:
        """Return one whole request, signed as of `now_ms` where there is a key; `query` is canonical already."""
        target = f"{path}?{query}" if query else path
        head = f"{method} {target} HTTP/1.1\r\n{self._head}"
        if self._key is not None:
            proof = signature(self._key, now_ms, self._window_ms, method, path, query, body)
            head += f"X-Api-Timestamp: {now_ms}\r\nX-Api-Signature: {proof}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body
