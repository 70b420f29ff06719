"""The gateway: TLS connections from edges, frames in, answers out; it knows nothing of what a command does."""

import asyncio
import hmac
import logging
import ssl
from typing import Protocol, cast

from exchange import wire

HELLO_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 4096
MAX_UNSENT_BYTES = 16 * 1024 * 1024

logger = logging.getLogger(__name__)


class Desk(Protocol):
    """Where requests go: it answers each `Submit` once, by `Session.reply`, now or later."""

    def welcome(self) -> wire.Welcome | None:
        """Return the greeting of a leader, None while this task leads nothing."""

    def submit(self, session: "Session", request: wire.Submit) -> None:
        """Take commands; every one of them is answered by `session.reply`."""

    def look(self, request: wire.Look) -> wire.Data | wire.Failure:
        """Answer from the committed copy, or not where this task leads nothing."""


class Session(asyncio.Protocol):
    """One connection: it opens with the deployment's secret and is cut off at the first wrong frame."""

    def __init__(self, desk: Desk, secret: str, sessions: "set[Session]") -> None:
        self.desk = desk
        self.secret = secret
        self.sessions = sessions
        self.buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self.is_open = False
        self.hello_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the `Hello`."""
        self.transport = cast(asyncio.Transport, transport)
        if len(self.sessions) >= MAX_CONNECTIONS:
            self.cut_off("too many connections")
            return
        self.sessions.add(self)
        loop = asyncio.get_running_loop()
        self.hello_deadline = loop.call_later(HELLO_TIMEOUT_S, self.cut_off, "no hello in time")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection; what it asked goes on."""
        self.transport = None
        self.sessions.discard(self)
        if self.hello_deadline:
            self.hello_deadline.cancel()

    def data_received(self, data: bytes) -> None:
        """Take every whole frame."""
        buffer = self.buffer
        buffer += data
        start, header = 0, wire.HEADER.size
        try:
            while len(buffer) - start > header:
                end = start + header + wire.body_length(bytes(buffer[start : start + header]))
                if len(buffer) < end:
                    break
                self._take(wire.request_of(bytes(buffer[start + header : end])))
                start = end
        except wire.FrameError as error:
            self.cut_off(str(error))
            return
        del buffer[:start]

    def reply(self, message: wire.Reply) -> None:
        """Send one message, if the peer is still there; one that does not read is cut off."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(wire.frame(message))
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.cut_off("the peer does not read")

    def cut_off(self, why: str) -> None:
        """Close without a word to the peer."""
        if self.transport is not None:
            logger.info("a connection was cut off", extra={"why": why})
            self.transport.abort()
            self.transport = None

    def hang_up(self) -> None:
        """Close when everything said so far is sent."""
        if self.transport is not None:
            self.transport.close()

    def _take(self, request: wire.Request) -> None:
        if isinstance(request, wire.Hello):
            self._open(request)
        elif not self.is_open:
            raise wire.FrameError("no hello")
        elif isinstance(request, wire.Submit):
            self.desk.submit(self, request)
        else:
            self.reply(self.desk.look(request))

    def _open(self, hello: wire.Hello) -> None:
        if not hmac.compare_digest(hello.secret.encode(), self.secret.encode()):
            raise wire.FrameError("wrong secret")
        if self.hello_deadline:
            self.hello_deadline.cancel()
        welcome = self.desk.welcome()
        if welcome is None:
            self.reply(wire.Failure(0, "not_leader", "none"))
            if self.transport:
                self.transport.close()
            return
        self.is_open = True
        self.reply(welcome)


class Gateway:
    """The listening socket and its sessions."""

    def __init__(self, desk: Desk, secret: str, context: ssl.SSLContext) -> None:
        self.desk = desk
        self.secret = secret
        self.context = context
        self.sessions: set[Session] = set()
        self.server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (the one chosen when `port` is 0)."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: Session(self.desk, self.secret, self.sessions), host, port, ssl=self.context, backlog=512
        )
        return int(self.server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the socket and every session."""
        if self.server:
            self.server.close()
        for session in list(self.sessions):
            session.cut_off("the gateway stops")
        while self.sessions:  # the event loop closes each in its next turns
            await asyncio.sleep(0)

    def drop_sessions(self) -> None:
        """Close every session when its answers are sent: their task leads no longer."""
        for session in list(self.sessions):
            session.hang_up()
