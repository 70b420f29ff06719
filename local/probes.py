"""Asks whether a part serves; a probe never raises, it answers no."""

import asyncio
import json
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

TIMEOUT = 3.0
PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so that a part that restarts finds its port still free."""


def free_port(taken: set[int]) -> int:
    """Choose a port nobody listens on and note it in `taken`."""
    for port in random.sample(PORTS, 500):
        with socket.socket() as trial:
            if port not in taken and trial.connect_ex(("127.0.0.1", port)) != 0 and _binds(trial.family, port):
                taken.add(port)
                return port
    raise OSError("there is no free port between 20000 and 32000")


def _binds(family: int, port: int) -> bool:
    with socket.socket(family) as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


async def exchange_bytes(port: int, request: bytes) -> bytes:
    """Send `request`, return what comes back until the other side closes or pauses; nothing when it does not serve."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                return await reader.read(1 << 16)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def http_status(port: int, path: str) -> int:
    """Return the status of a GET, 0 when there is none."""
    head = await exchange_bytes(
        port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    return int(head[9:12]) if head.startswith(b"HTTP/1.") and head[9:12].isdigit() else 0


def serves_http(port: int, path: str = "/") -> Callable[[], Awaitable[bool]]:
    """Return a probe for a server that answers a GET with 200."""

    async def probe() -> bool:
        return await http_status(port, path) == 200

    return probe


def answers_ping(port: int) -> Callable[[], Awaitable[bool]]:
    """Return a probe for a server that speaks Redis's protocol."""

    async def probe() -> bool:
        return (await exchange_bytes(port, b"PING\r\n")).startswith(b"+PONG")

    return probe


def logs_message(log: Path, message: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe for a JSON log line with that `message`, counted from the last line seen by an earlier success."""
    seen = 0

    async def probe() -> bool:
        nonlocal seen
        with log.open("rb") as file:
            file.seek(seen)
            for line in file:
                if b'"message"' in line and line.endswith(b"\n") and _message(line) == message:
                    seen = file.tell()
                    return True
        return False

    return probe


def _message(line: bytes) -> str | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document.get("message") if isinstance(document, dict) else None
