"""The HTTP server under the load balancer and the Runtime API, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from local.http_server import Limits, Request, Server

SMALL = Limits(
    body_bytes=1000,
    url_bytes=200,
    header_bytes=500,
    request_seconds=0.2,
    idle_seconds=0.2,
    write_seconds=0.2,
    connections=3,
    pipelined=4,
)
PATIENT = Limits(body_bytes=1000, connections=3)
Send = Callable[[bytes], Awaitable[bytes]]


def echo(request: Request) -> None:
    text = b"%b %b %b" % (request.method.encode(), request.target, request.body)
    request.connection.respond(request, 200, b"", text)


@asynccontextmanager
async def serving(limits: Limits, serve: Callable[[Request], None] = echo) -> AsyncIterator[tuple[int, Server]]:
    server = Server(serve, limits, lambda status: (b"", b"refused %d" % status))
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    sweep = asyncio.create_task(server.sweep(0.02))
    yield listener.sockets[0].getsockname()[1], server
    sweep.cancel()
    listener.close()
    for connection in [*server.connections]:
        connection.abort()


@asynccontextmanager
async def listening(limits: Limits, serve: Callable[[Request], None] = echo) -> AsyncIterator[int]:
    async with serving(limits, serve) as (port, _):
        yield port


async def until_nobody_is_connected(server: Server) -> None:
    async with asyncio.timeout(10):
        while server.connections:
            await asyncio.sleep(0)


async def until_closed(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        with contextlib.suppress(ConnectionError):
            writer.write(part)
            await writer.drain()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def exchanged(*parts: bytes, limits: Limits = SMALL, serve: Callable[[Request], None] = echo) -> bytes:
    async def run() -> bytes:
        async with listening(limits, serve) as port:
            return await until_closed(port, *parts)

    return asyncio.run(run())


def bodies(answer: bytes) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def test_requests_on_one_connection_are_answered_in_order() -> None:
    answer = exchanged(
        b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
        b"GET /3 HTTP/1.1\r\nConnection: close\r\n\r\n",
    )

    assert bodies(answer) == [b"GET /1 ", b"POST /2 ab", b"GET /3 "]


def test_more_pipelined_requests_than_the_bound_are_all_answered() -> None:
    many = b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(20))

    answer = exchanged(many, b"GET /20 HTTP/1.1\r\nConnection: close\r\n\r\n", limits=PATIENT)

    assert bodies(answer) == [b"GET /%d " % number for number in range(21)]


def test_a_chunked_body_is_put_together() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    assert bodies(exchanged(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")) == [b"POST / abcde"]


def test_a_client_that_waits_for_it_is_told_to_go_on() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"

    assert statuses(exchanged(head, b"ab")) == [100, 200]


def test_http_1_0_is_closed_after_the_answer_unless_it_asks_to_be_kept() -> None:
    assert b"Connection: close" in exchanged(b"GET / HTTP/1.0\r\n\r\n")

    kept = exchanged(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /2 HTTP/1.0\r\n\r\n")

    assert bodies(kept) == [b"GET / ", b"GET /2 "]


def test_an_answer_to_head_has_the_length_and_no_body() -> None:
    answer = exchanged(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert b"Content-Length: 7\r\n" in answer
    assert bodies(answer) == [b""]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /" + b"x" * 300 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 600 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", 413),
    ],
)
def test_a_request_that_is_wrong_or_too_large_is_refused_and_the_connection_closed(
    request_bytes: bytes, status: int
) -> None:
    answer = exchanged(request_bytes)

    assert statuses(answer) == [status]
    assert bodies(answer) == [b"refused %d" % status]
    assert b"Connection: close" in answer


def test_a_client_that_sends_a_huge_body_whole_still_reads_its_refusal() -> None:
    answer = exchanged(b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n", b"x" * 4_000_000)

    assert statuses(answer) == [413]


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    assert statuses(exchanged(b"GET /1 HTTP/1.1\r\n\r\nnonsense\r\n\r\n")) == [200, 400]


@pytest.mark.parametrize(
    "start", [b"G", b"GET / HTTP/1.1\r\nA: b\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_a_client_that_sends_too_slowly_is_refused(start: bytes) -> None:
    assert statuses(exchanged(start)) == [408]


def test_an_idle_connection_is_closed_without_a_word() -> None:
    assert exchanged(b"") == b""


def test_a_client_that_only_stops_sending_still_gets_its_answers() -> None:
    async def run() -> bytes:
        async with listening(PATIENT, later) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /1 HTTP/1.1\r\n\r\n")
            writer.write_eof()
            async with asyncio.timeout(10):
                answer = await reader.read()
            writer.close()
            return answer

    def later(request: Request) -> None:
        asyncio.get_running_loop().call_later(0.05, echo, request)

    assert bodies(asyncio.run(run())) == [b"GET /1 "]


def test_an_answer_for_a_client_that_has_gone_ends_its_connection() -> None:
    async def run() -> None:
        served: asyncio.Queue[Request] = asyncio.Queue()
        async with serving(PATIENT, served.put_nowait) as (port, server):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            request = await served.get()

            writer.transport.abort()
            echo(request)

            await until_nobody_is_connected(server)

    asyncio.run(run())


def test_connections_over_the_bound_are_refused_with_503() -> None:
    async def run() -> bytes:
        async with listening(PATIENT) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            answer = await until_closed(port)
            for _, writer in held:
                writer.close()
            return answer

    assert statuses(asyncio.run(run())) == [503]


def test_a_client_that_does_not_read_is_cut_off() -> None:
    def large(request: Request) -> None:
        request.connection.respond(request, 200, b"", b"x" * 20_000_000)

    async def run() -> None:
        async with serving(SMALL, large) as (port, server):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readexactly(1)

            await until_nobody_is_connected(server)

            writer.close()

    asyncio.run(run())
