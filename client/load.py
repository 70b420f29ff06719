"""Load: many connections that send as fast as they are answered, or on a fixed schedule; it never waits without bound.

A load takes a `Script`: asked for the next request of client `n` at a time, it returns the whole request as bytes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from client.connection import Connection, Response, connect
from client.latency import Percentiles, percentiles

Script = Callable[[int, int], bytes]
Result = TypeVar("Result")

DEADLINE_S = 10.0
SWEEP_S = 0.5
TIMER_GRAIN_S = 0.0005
"""Event loops wake at whole milliseconds: a request is sent when it is nearer to due than this."""
NO_ANSWER = 0
"""The status under which a request without an answer is counted."""


@dataclass(slots=True)
class Measured:
    """What a load saw: seconds from due (or sent) to answered, and how many answers of each status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers of success a second."""
        return self.succeeded / self.seconds if self.seconds else 0.0

    @property
    def succeeded(self) -> int:
        """How many were answered with a 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def failed(self) -> dict[int, int]:
        """The other statuses, `NO_ANSWER` among them."""
        return {status: count for status, count in sorted(self.statuses.items()) if not 200 <= status < 300}

    @property
    def percentiles(self) -> Percentiles:
        """The latencies of all answers."""
        return percentiles(self.latencies)


class Clients:
    """As many connections as there are clients, each reopened when it was lost."""

    def __init__(self, host: str, port: int, count: int) -> None:
        self._address = (host, port)
        self._connections: list[Connection | None] = [None] * count
        self._sweeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        for number in range(len(self._connections)):
            self._connections[number] = await connect(*self._address)
        self._sweeper = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self._connections:
            if connection is not None:
                connection.abort()

    def __len__(self) -> int:
        return len(self._connections)

    async def send(self, number: int, request: bytes) -> Response:
        """Send on connection `number`; raise `OSError` where no response came within `DEADLINE_S`."""
        connection = self._connections[number]
        if connection is None or not connection.is_open:
            connection = self._connections[number] = await connect(*self._address)
        return await connection.send(request)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            for connection in self._connections:
                if connection is not None:
                    connection.abort_if_silent(DEADLINE_S)


async def closed_loop(clients: Clients, script: Script, seconds: float) -> Measured:
    """Let each client send its next request as soon as the last one is answered."""
    measured = Measured()
    begin = time.monotonic()

    async def run(number: int) -> None:
        while (sent_at := time.monotonic()) < begin + seconds:
            await _measure(clients, number, script, sent_at, measured)

    await asyncio.gather(*(run(number) for number in range(len(clients))))
    measured.seconds = time.monotonic() - begin
    return measured


async def open_loop(clients: Clients, script: Script, rate: float, seconds: float) -> Measured:
    """Send `rate` requests a second, each due at a time fixed beforehand and measured from that time.

    A slow answer delays no due time: a request that finds every client busy has been waiting since it was due.
    """
    measured = Measured()
    begin = time.monotonic()
    due_times = iter([begin + number / rate for number in range(int(rate * seconds))])

    async def run(number: int) -> None:
        for due in due_times:
            while (early := due - time.monotonic()) > TIMER_GRAIN_S:
                await asyncio.sleep(early)
            await _measure(clients, number, script, min(due, time.monotonic()), measured)

    await asyncio.gather(*(run(number) for number in range(len(clients))))
    measured.seconds = max(time.monotonic() - begin, seconds)
    return measured


async def _measure(clients: Clients, number: int, script: Script, since: float, measured: Measured) -> None:
    try:
        response = await clients.send(number, script(number, time.time_ns() // 1_000_000))
    except OSError:
        measured.statuses[NO_ANSWER] += 1
        await asyncio.sleep(SWEEP_S)
        return
    measured.latencies.append(time.monotonic() - since)
    measured.statuses[response.status] += 1


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on the fastest event loop that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
