"""The edge's end of the wire: commands to the leader and its answers back, or how certain it is that nothing happened.

One connection, kept between calls, TLS with the certificate that the leader published. Every command is idempotent,
so what may have been lost on the way is sent once more, and never a third time. Where nobody serves for a moment, as
while the leadership is handed over, the next leader is looked for.
"""

import hashlib
import hmac
import itertools
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange import wire
from exchange.commands import Command
from exchange.errors import Rejected, Unavailable
from exchange.settings import trace_context

CONNECT_TIMEOUT_S = 1.0
FIRST_SHARE = 0.4
"""How much of the whole time the first sending may take; the rest is left for a leader that took over."""
PATIENCE_S = 2.0
"""How long a leader is looked for while nothing was sent, by who knows no other way: a take-over is shorter."""
PAUSE_S = 0.02
SAME_AGAIN_S = 0.1
"""One that refused is not asked again before this, unless the lease names another."""
RECEIVE_BYTES = 16_384
"""No record of TLS holds more."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Where the leader serves, and the SHA-256 of its certificate in hex."""

    host: str
    port: int
    certificate: str


class Directory(Protocol):
    """Tells who leads."""

    def leader(self, after_failure: bool) -> Leader | None:
        """Return the leader, read anew when the last one given did not serve; None when nobody leads."""


class NotServed(Exception):  # noqa: N818 - one of two outcomes of an attempt
    """The peer took nothing: it could not be reached, or does not lead."""


class Silent(Exception):  # noqa: N818 - one of two outcomes of an attempt
    """The request was sent and no answer came."""


class GatewayClient:
    """Submits commands and looks at the leader's copy; not for use by two threads at once."""

    def __init__(
        self,
        directory: Directory,
        secret: str,
        timeout_ms: int,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ):
        self._directory = directory
        self._secret = secret
        self._timeout_s = timeout_ms / 1000
        self._clock = clock
        self._pause = pause
        self._connection: _Connection | None = None
        self._leader: Leader | None = None
        self._refused: tuple[Leader, float] | None = None
        self._ids = itertools.count(1)

    def submit(
        self, commands: Sequence[Command], test: bool = False, silence_ms: int | None = None
    ) -> list[wire.Answer]:
        """Return the committed answers, one for each command in order.

        Raise `Unavailable` when there is no answer, `Rejected` when the leader takes no more at the moment. With
        `silence_ms` a leader that says nothing for so long is given up, by a caller who knows another way.
        """
        reply = self._patiently(wire.Submit(next(self._ids), list(commands), test, trace_context()), silence_ms)
        assert isinstance(reply, wire.Answers)
        return reply.answers

    def look(self, what: str, symbol: str, silence_ms: int | None = None) -> str | None:
        """Return ready-made JSON from the leader's committed copy, None when it has no such market."""
        reply = self._patiently(wire.Look(next(self._ids), what, symbol), silence_ms)
        assert isinstance(reply, wire.Data)
        return reply.json

    def close(self) -> None:
        """Close the connection; the next call opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _patiently(self, request: wire.Submit | wire.Look, silence_ms: int | None) -> wire.Reply:
        if silence_ms is None:
            return self._asked(request, self._timeout_s, FIRST_SHARE)
        return self._asked(request, silence_ms / 1000, 1.0)

    def _asked(self, request: wire.Submit | wire.Look, timeout_s: float, first_share: float) -> wire.Reply:
        """Send a request, and once more where the first sending was not answered.

        While nothing was sent a leader is looked for a little while; what may have been taken is worth all the time.
        """
        deadline = self._clock() + timeout_s
        give_up_at = min(deadline, self._clock() + PATIENCE_S)
        attempts = sent = 0
        while sent < 2 and (not attempts or self._clock() < deadline):
            if attempts > 1:
                if self._clock() + PAUSE_S > give_up_at:
                    break
                self._pause(PAUSE_S)
            until = self._clock() + (deadline - self._clock()) * (1.0 if sent else first_share)
            try:
                return _checked(self._attempt(request, until, after_failure=attempts > 0))
            except NotServed:
                self._note_refusal()
            except Silent:
                sent += 1
                give_up_at = deadline
            self.close()
            attempts += 1
        raise Unavailable("The matching engine cannot be reached.", execution="unknown" if sent else "none")

    def _attempt(self, request: wire.Submit | wire.Look, until: float, after_failure: bool) -> wire.Reply:
        connection = self._connection
        if connection is None or not connection.is_quiet():
            connection = self._connected(until, after_failure)
        try:
            connection.send(wire.frame(request), until)
            while True:
                reply = connection.receive(until)
                if isinstance(reply, wire.Welcome) or reply.id != request.id:
                    continue
                return reply
        except (OSError, EOFError, wire.FrameError) as error:
            raise Silent(str(error)) from None

    def _connected(self, until: float, after_failure: bool) -> "_Connection":
        """Connect to the leader, unless it is one that refused just now."""
        self.close()
        self._leader = leader = self._directory.leader(after_failure)
        if leader is None or (self._refused and self._refused[0] == leader and self._clock() < self._refused[1]):
            self._leader = None
            raise NotServed
        connect_until = min(until, self._clock() + CONNECT_TIMEOUT_S)
        self._connection = _opened(leader, self._secret, connect_until, self._clock)
        return self._connection

    def _note_refusal(self) -> None:
        if self._leader is not None:
            self._refused = self._leader, self._clock() + SAME_AGAIN_S


class _Connection:
    """One open connection; what arrives is buffered.

    The socket does not block: every wait is a poll of our own, which saves four of the nine system calls that a
    socket with a timeout needs for a request and its answer.
    """

    __slots__ = ("_buffer", "_clock", "_poller", "_socket")

    def __init__(self, secured: ssl.SSLSocket, clock: Callable[[], float]):
        secured.setblocking(False)
        self._socket = secured
        self._clock = clock
        self._buffer = bytearray()
        self._poller = select.poll()
        self._poller.register(secured.fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """Tell whether the peer has neither closed nor said anything unasked since the last answer."""
        return not self._buffer and not self._poller.poll(0)

    def send(self, frame: bytes, until: float) -> None:
        """Send all of `frame`; raise `TimeoutError` after `until`."""
        sent = 0
        while sent < len(frame):
            try:
                sent += self._socket.write(frame[sent:])
            except ssl.SSLWantWriteError:
                poller = select.poll()
                poller.register(self._socket.fileno(), select.POLLOUT)
                self._wait(poller, until)

    def receive(self, until: float) -> wire.Reply:
        """Return the next message; raise `TimeoutError` after `until`, `EOFError` when the peer has closed."""
        if not self._buffer:
            self._wait(self._poller, until)
        start = wire.HEADER.size
        self._fill(start, until)
        end = start + wire.body_length(bytes(self._buffer[:start]))
        self._fill(end, until)
        body = bytes(self._buffer[start:end])
        del self._buffer[:end]
        return wire.reply_of(body)

    def close(self) -> None:
        self._socket.close()

    def _fill(self, count: int, until: float) -> None:
        """Receive until `count` bytes are buffered."""
        while len(self._buffer) < count:
            try:
                arrived = self._socket.read(RECEIVE_BYTES)
            except ssl.SSLWantReadError:  # a part of a record
                self._wait(self._poller, until)
                continue
            if not arrived:
                raise EOFError("the leader closed the connection")
            self._buffer += arrived

    def _wait(self, poller: select.poll, until: float) -> None:
        if not poller.poll(max(1000 * (until - self._clock()), 1)):
            raise TimeoutError


def _opened(leader: Leader, secret: str, until: float, clock: Callable[[], float]) -> _Connection:
    """Connect, check the certificate and prove the secret; raise `NotServed` when any of it fails."""
    try:
        plain = socket.create_connection((leader.host, leader.port), max(until - clock(), 0.001))
    except OSError as error:
        raise NotServed(str(error)) from None
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        secured = _context().wrap_socket(plain)
    except OSError as error:
        plain.close()
        raise NotServed(str(error)) from None
    connection = _Connection(secured, clock)
    if not _is_welcome(connection, secured, leader, secret, until):
        connection.close()
        raise NotServed("the peer is not the leader that the lease names")
    return connection


def _is_welcome(connection: _Connection, secured: ssl.SSLSocket, leader: Leader, secret: str, until: float) -> bool:
    certificate = secured.getpeercert(binary_form=True) or b""
    if not hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), leader.certificate):
        return False
    try:
        connection.send(wire.frame(wire.Hello(secret)), until)
        return isinstance(connection.receive(until), wire.Welcome)
    except (OSError, EOFError, wire.FrameError):
        return False


def _context() -> ssl.SSLContext:
    """Trust no authority: what is trusted is the one certificate that the lease row names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _checked(reply: wire.Reply) -> wire.Reply:
    if not isinstance(reply, wire.Failure):
        return reply
    if reply.reason == "busy":
        raise Rejected("rate.limited", "The matching engine takes no more at the moment.")
    if reply.execution == "none":
        raise NotServed(reply.reason)
    raise Silent(reply.reason)
