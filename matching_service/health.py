"""What a task says of itself on its health port, and the check that asks it; never how it came to be so."""

import asyncio
import json
import time
from collections.abc import Callable
from enum import StrEnum

HOST = "127.0.0.1"
STALE_S = 30.0
"""A task that has not seen the end of the journal for so long is not caught up; a fail-over is shorter."""
TIMEOUT_S = 4.0
REQUEST_BYTES = 4096


class Role(StrEnum):
    """What a task is doing."""

    LOADING = "loading"
    STANDBY = "standby"
    LEADER = "leader"
    UNFIT = "unfit"
    STOPPED = "stopped"


class Health:
    """The state of one task: written by whoever changes it, in any thread; read by whoever asks."""

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self.role = Role.LOADING
        self.why = "the tables are not loaded yet"
        self.epoch = 0
        self.sequence: Callable[[], int] = int
        self.is_ours: Callable[[], bool] = bool
        self.seen_end_s = float("-inf")

    def becomes(self, role: Role, why: str = "") -> None:
        """Note what the task is doing now, and what prevents it from more."""
        self.role, self.why = role, why

    def follows(self, sequence: int, is_at_end: bool) -> None:
        """Note how far the journal was followed, and whether that is all of it."""
        self.sequence = lambda: sequence
        if is_at_end:
            self.seen_end_s = time.monotonic()

    def leads(self, epoch: int, sequence: Callable[[], int], is_ours: Callable[[], bool]) -> None:
        """Note that the task leads, and who tells how far it has come, and whether the lease is certainly held."""
        self.epoch, self.sequence, self.is_ours = epoch, sequence, is_ours
        self.becomes(Role.LEADER)

    def document(self) -> dict[str, object]:
        """Return what is told: a task is healthy that leads, or that could at once."""
        role, why = self.role, self.why
        if role is Role.STANDBY and time.monotonic() - self.seen_end_s > STALE_S:
            why = "the end of the journal was not seen lately"
        if role is Role.LEADER and not self.is_ours():
            why = "the lease is not certainly held"
        healthy = role in (Role.LEADER, Role.STANDBY) and not why
        own = {"cell": self.cell, "epoch": self.epoch, "sequence": self.sequence()}
        return {"healthy": healthy, "role": role, "why": why, **own}

    async def start(self, port: int) -> asyncio.Server:
        """Answer every request on the loopback: 200 when healthy, else 503."""
        return await asyncio.start_server(self._answer, HOST, port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await reader.read(REQUEST_BYTES)
                document = self.document()
                body = json.dumps(document).encode()
                status = "200 OK" if document["healthy"] else "503 Service Unavailable"
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
                await writer.drain()
        except (OSError, TimeoutError):
            return
        finally:
            writer.close()
