"""A TCP proxy that passes on, delays, resets or swallows what goes through it, as it is told from one moment on."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

RESET = struct.pack("ii", 1, 0)
"""To linger for no time: a close is a reset."""


class TcpProxy:
    """A running proxy; what it is told holds for connections that there are and that come."""

    def __init__(self, upstream: int, loop: asyncio.AbstractEventLoop) -> None:
        self.upstream = upstream
        self.port = 0
        self.delay_s = 0.0
        self.is_swallowing = False
        self.halves: set[_Half] = set()
        self.joining: set[asyncio.Task[None]] = set()
        self._loop = loop

    def reset(self) -> None:
        """Reset every connection."""
        self._do(_Half.reset)

    def swallow(self) -> None:
        """Let nothing pass, neither way, and close nothing: a network that is gone, and tells nobody."""
        self.is_swallowing = True
        self._do(_Half.pause)

    def pass_on(self) -> None:
        """Let everything pass at once, what was held back first."""
        self.is_swallowing = False
        self.delay_s = 0.0
        self._do(_Half.go_on)

    def delay(self, seconds: float) -> None:
        """Hold back every piece so long, both ways."""
        self.delay_s = seconds

    def join(self, client: "_Half") -> None:
        """Connect a client with the server; called in the loop."""
        task = self._loop.create_task(self._join(client))
        self.joining.add(task)
        task.add_done_callback(self.joining.discard)

    async def _join(self, client: "_Half") -> None:
        server = _Half(self, client)
        try:
            await self._loop.create_connection(lambda: server, "127.0.0.1", self.upstream)
        except OSError:
            client.reset()
            return
        client.other = server
        for data in client.early:
            server.write(data)

    def _do(self, work: "Callable[[_Half], None]") -> None:
        """Do something to every connection, in the loop."""
        done = threading.Event()

        def run() -> None:
            for half in list(self.halves):
                work(half)
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)


class _Half(asyncio.Protocol):
    """One of two connections; the half of the server knows its client from the beginning."""

    def __init__(self, proxy: TcpProxy, other: "_Half | None" = None) -> None:
        self.proxy = proxy
        self.is_server = other is not None
        self.other = other
        self.early: list[bytes] = []
        self.held: deque[bytes] = deque()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.proxy.halves.add(self)
        if self.proxy.is_swallowing:
            self.pause()
        elif not self.is_server:
            self.proxy.join(self)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early.append(data)
        elif self.proxy.delay_s:
            self.held.append(data)
            self.proxy._loop.call_later(self.proxy.delay_s, self.release)
        else:
            self.other.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.proxy.halves.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def release(self) -> None:
        """Pass on the oldest piece that is held back, if any is."""
        if self.held and self.other is not None:
            self.other.write(self.held.popleft())

    def pause(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def go_on(self) -> None:
        while self.held:
            self.release()
        if self.transport is not None:
            self.transport.resume_reading()
        if not self.is_server and self.other is None:
            self.proxy.join(self)

    def reset(self) -> None:
        if self.transport is not None:
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()


@contextmanager
def tcp_proxy(upstream: int) -> Iterator[TcpProxy]:
    """Run a proxy of a local port for the length of a block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = TcpProxy(upstream, loop)

    async def listen() -> asyncio.Server:
        return await loop.create_server(lambda: _Half(proxy), "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(server.close)
        proxy.reset()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
