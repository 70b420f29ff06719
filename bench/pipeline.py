"""A pipelined client of the matching service: many commands under way, each timed; it never sends one twice."""

import asyncio
import hashlib
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from exchange import wire
from exchange.commands import Command

CONNECTIONS = 4
DEADLINE_S = 120.0


@dataclass(slots=True)
class Measured:
    """What a pipeline saw: seconds from sent to answered of each command, and how often each code."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where a leader serves, by its lease row, and the secret that it asks for."""

    host: str
    port: int
    certificate: str
    secret: str


class Session(asyncio.Protocol):
    """One connection: sends from `frames` so that `window` are always under way, until they are used up."""

    def __init__(self, gateway: Gateway, frames: Iterator[tuple[int, bytes]], window: int, measured: Measured) -> None:
        self._gateway = gateway
        self._frames = frames
        self._window = window
        self._measured = measured
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._sent_at: dict[int, float] = {}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the certificate against the lease, and prove the secret."""
        self._transport = cast(asyncio.Transport, transport)
        secured = self._transport.get_extra_info("ssl_object")
        if hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest() != self._gateway.certificate:
            self._end(ConnectionError("the peer's certificate is not that of the lease"))
            return
        self._transport.write(wire.frame(wire.Hello(self._gateway.secret)))

    def data_received(self, data: bytes) -> None:
        """Time every answer that is whole, and send as many again."""
        buffer = self._buffer
        buffer += data
        start, free, now = 0, 0, time.perf_counter()
        while len(buffer) - start >= wire.HEADER.size:
            body = start + wire.HEADER.size
            end = body + wire.body_length(bytes(buffer[start:body]))
            if len(buffer) < end:
                break
            free += self._answered(wire.reply_of(bytes(buffer[body:end])), now)
            start = end
        del buffer[:start]
        if free:
            self._send(free)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail where answers are missing."""
        self._end(exc or ConnectionError("the gateway closed the connection"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def _answered(self, reply: wire.Reply, now: float) -> int:
        if isinstance(reply, wire.Welcome):
            return self._window
        if not isinstance(reply, wire.Answers):
            self._end(ConnectionError(f"not answered: {reply}"))
            return 0
        self._measured.latencies.append(now - self._sent_at.pop(reply.id))
        self._measured.codes.update(answer.code or "done" for answer in reply.answers)
        return 1

    def _send(self, count: int) -> None:
        frames = []
        now = time.perf_counter()
        for number, frame in self._frames:
            self._sent_at[number] = now
            frames.append(frame)
            if len(frames) == count:
                break
        if frames and self._transport is not None:
            self._transport.write(b"".join(frames))
        elif not self._sent_at:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


def frames_of(commands: Sequence[Command]) -> list[tuple[int, bytes]]:
    """Encode each command as a submission of its own, ahead of the time that is measured."""
    return [(number, wire.frame(wire.Submit(number, [command]))) for number, command in enumerate(commands)]


async def submit(
    gateway: Gateway, frames: Sequence[tuple[int, bytes]], under_way: int, connections: int = CONNECTIONS
) -> Measured:
    """Send all frames, `under_way` of them unanswered at any time; they keep their order on one connection only."""
    measured = Measured()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is compared with the one in the lease row instead
    loop = asyncio.get_running_loop()
    queue = iter(frames)
    begin = time.perf_counter()
    sessions = [
        (
            await loop.create_connection(
                lambda: Session(gateway, queue, max(1, under_way // connections), measured),
                gateway.host,
                gateway.port,
                ssl=context,
            )
        )[1]
        for _ in range(connections)
    ]
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(session.ended for session in sessions))
    finally:
        measured.seconds = time.perf_counter() - begin
        for session in sessions:
            session.close()
    return measured
