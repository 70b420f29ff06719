"""A TCP proxy that passes on, delays, cuts off or swallows what goes through it, as it is told from one moment on."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 65536
HANGS_UP_AT_ONCE = struct.pack("ii", 1, 0)


class TcpProxy:
    """One proxied port; what it does to bytes under way holds for both directions and every connection."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._delay_s = 0.0
        self._flowing = asyncio.Event()
        self._never = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def pass_on(self) -> None:
        """Pass everything on at once, what was swallowed included where its connection still is."""
        self._loop.call_soon_threadsafe(self._set, 0.0, True)

    def delay(self, seconds: float) -> None:
        """Pass every piece on this much later."""
        self._loop.call_soon_threadsafe(self._set, seconds, True)

    def swallow(self) -> None:
        """Take everything and pass nothing on: a network that is gone, and tells nobody."""
        self._loop.call_soon_threadsafe(self._set, 0.0, False)

    def reset(self) -> None:
        """Cut every connection off by a reset; new ones are served."""
        self._loop.call_soon_threadsafe(self._cut_off)

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        self._flowing.set()
        self._cut_off()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    def _set(self, delay_s: float, is_flowing: bool) -> None:
        self._delay_s = delay_s
        (self._flowing.set if is_flowing else self._flowing.clear)()

    def _cut_off(self) -> None:
        for writer in self._writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANGS_UP_AT_ONCE)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await self._flowing.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            self._writers |= {writer, up_writer}
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
            self._writers -= {writer, up_writer}
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._delay_s:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._never.wait(), self._delay_s)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def tcp_proxy(port: int) -> Iterator[TcpProxy]:
    """Run a proxy of a port of this machine for the length of the block."""
    proxy = TcpProxy(port)
    loop = proxy._loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
