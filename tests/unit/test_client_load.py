import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from client.load import NO_ANSWER, Clients, Measured, closed_loop, open_loop, run

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Peer(asyncio.Protocol):
    """A server's side of a connection; `arrived` is told of each request."""

    def __init__(self, arrived: Callable[["Peer"], None]) -> None:
        self.arrived = arrived
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert data == REQUEST
        self.arrived(self)

    def answer(self, response: bytes = CREATED) -> None:
        assert self.transport is not None
        self.transport.write(response)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


@asynccontextmanager
async def clients_of(count: int, arrived: Callable[[Peer], None]) -> AsyncIterator[Clients]:
    server = await asyncio.get_running_loop().create_server(lambda: Peer(arrived), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        async with Clients(host, port, count) as clients:
            yield clients
    finally:
        server.close()


def script(client: int, now_ms: int) -> bytes:
    return REQUEST


def test_open_loop_sends_what_is_due_while_earlier_answers_are_outstanding() -> None:
    waiting: list[Peer] = []

    def arrived(peer: Peer) -> None:
        waiting.append(peer)
        if len(waiting) == 4:
            for each in waiting:
                each.answer()

    async def main() -> Measured:
        async with clients_of(4, arrived) as clients:
            return await open_loop(clients, script, rate=400, seconds=0.01)

    measured = asyncio.run(main())

    assert measured.statuses == {201: 4}
    assert len(measured.latencies) == 4
    assert max(measured.latencies) > 0.005  # the first was due 7.5 ms before the last, whose arrival answered it


def test_open_loop_counts_the_wait_for_a_free_client() -> None:
    peers: list[Peer] = []

    def arrived(peer: Peer) -> None:
        peers.append(peer)
        if len(peers) == 1:
            asyncio.get_running_loop().call_later(0.05, peer.answer)
        else:
            peer.answer()

    async def main() -> Measured:
        async with clients_of(1, arrived) as clients:
            return await open_loop(clients, script, rate=400, seconds=0.01)

    measured = asyncio.run(main())

    assert measured.statuses == {201: 4}
    assert min(measured.latencies) > 0.04


def test_closed_loop_counts_answers_by_status() -> None:
    answers = iter([CREATED, REFUSED])

    async def main() -> Measured:
        async with clients_of(1, lambda peer: peer.answer(next(answers, CREATED))) as clients:
            return await closed_loop(clients, script, seconds=0.02)

    measured = asyncio.run(main())

    assert measured.failed == {422: 1}
    assert measured.succeeded == len(measured.latencies) - 1
    assert measured.seconds >= 0.02


def test_lost_connection_is_counted_and_opened_again() -> None:
    lost: list[Peer] = []

    def arrived(peer: Peer) -> None:
        if lost:
            peer.answer()
        else:
            lost.append(peer)
            peer.close()

    async def main() -> Measured:
        async with clients_of(1, arrived) as clients:
            return await closed_loop(clients, script, seconds=0.6)

    measured = asyncio.run(main())

    assert measured.failed == {NO_ANSWER: 1}
    assert measured.succeeded > 0


def test_run_returns_what_the_main_coroutine_returns() -> None:
    async def main() -> int:
        return 7

    assert run(main()) == 7
