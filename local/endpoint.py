"""The one address of a database of two servers: passes bytes to the present primary, and cuts off who is elsewhere.

`python -m local.endpoint --fd FD --target FILE`: FILE holds the primary's port, or nothing while there is none. It is
read at the start and at each SIGHUP, upon which every connection to another port is cut: so clients of Aurora see a
fail-over.
"""

import argparse
import asyncio
import importlib.util
import json
import signal
import socket
import sys
from pathlib import Path
from typing import cast


class Half(asyncio.Protocol):
    """One of the two connections of a client; what it receives goes into the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Half | None = None
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what arrived; before there is somebody to pass it on to, keep it."""
        if self.other is None:
            self.early += data  # little: reading stops as soon as the loop heeds it
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Take nothing more from the other side while this one is full."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """Close the other side, once it has all that came before."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def cut(self) -> None:
        """End it now, with whatever is still under way."""
        if self.transport is not None:
            self.transport.abort()


class Client(Half):
    """The half of the client: it asks the endpoint for its other half."""

    def __init__(self, endpoint: "Endpoint") -> None:
        super().__init__()
        self.endpoint = endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing before there is somebody to pass it on to."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self.endpoint.admit(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Close the other side, and be counted no more."""
        super().connection_lost(error)
        self.endpoint.forget(self)


class Endpoint:
    """Who is connected, and to which port."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.port: int | None = None
        self.clients: set[Client] = set()
        self.joining: set[asyncio.Task[None]] = set()

    def turn(self) -> None:
        """Read where the primary is; cut every connection when that has changed."""
        text = self.target.read_text(encoding="ascii") if self.target.exists() else ""
        port = int(text) if text else None
        if port == self.port:
            return
        self.port = port
        for client in list(self.clients):
            client.cut()

    def admit(self, client: Client) -> None:
        """Join a new client with the primary, or close it where there is none."""
        if self.port is None:
            client.cut()
            return
        self.clients.add(client)
        task = asyncio.get_running_loop().create_task(self._join(client, self.port))
        self.joining.add(task)
        task.add_done_callback(self.joining.discard)

    def forget(self, client: Client) -> None:
        """Note that a client has gone."""
        self.clients.discard(client)

    async def _join(self, client: Client, port: int) -> None:
        half = Half()
        try:
            await asyncio.get_running_loop().create_connection(lambda: half, "127.0.0.1", port)
        except OSError:
            client.cut()
            return
        assert client.transport is not None
        if port != self.port or client.transport.is_closing():
            half.cut()
            client.cut()
            return
        half.other, client.other = client, half
        if client.early and half.transport is not None:
            half.transport.write(client.early)
        client.transport.resume_reading()


async def serve(fd: int, target: Path) -> None:
    """Serve until SIGTERM; one JSON line says when."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(target)
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, endpoint.turn)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    endpoint.turn()
    listener = await loop.create_server(lambda: Client(endpoint), sock=socket.socket(fileno=fd), backlog=256)
    sys.stdout.write(json.dumps({"message": "forwarding"}) + "\n")
    sys.stdout.flush()
    await stopping.wait()
    listener.close()


def main() -> None:
    """Run the endpoint."""
    parser = argparse.ArgumentParser(prog="python -m local.endpoint", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="a listening socket")
    parser.add_argument("--target", type=Path, required=True, help="a file that holds the port of the primary")
    options = parser.parse_args()
    run = asyncio.run
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        run = uvloop.run
    run(serve(options.fd, options.target))


if __name__ == "__main__":
    main()
