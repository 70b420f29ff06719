import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.pipeline import Gateway, Measured, frames_of, submit
from exchange import wire
from exchange.commands import CancelOrder
from exchange.wire import Answer
from matching_service.certificates import server_context

SECRET = "gateway-secret"
COMMANDS = [CancelOrder(f"r{number}", "acc", f"1-{number}") for number in range(20)]


class Leader:
    """A gateway that answers every command, the odd ones with a refusal, and keeps the most it had at once."""

    def __init__(self) -> None:
        self.most_waiting = 0
        self.secrets: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting: list[wire.Submit] = []
        try:
            while True:
                request = wire.request_of(await reader.readexactly(wire.body_length(await reader.readexactly(4))))
                if isinstance(request, wire.Hello):
                    self.secrets.append(request.secret)
                    writer.write(wire.frame(wire.Welcome(1, 1)))
                elif isinstance(request, wire.Submit):
                    waiting.append(request)
                    self.most_waiting = max(self.most_waiting, len(waiting))
                    if len(waiting) == 4:
                        for each in reversed(waiting):
                            code = "order.not_cancelable" if each.id % 2 else None
                            writer.write(wire.frame(wire.Answers(each.id, [Answer(code=code)])))
                        waiting.clear()
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def gateway_of(leader: Leader) -> AsyncIterator[Gateway]:
    context, certificate = server_context()
    server = await asyncio.start_server(leader.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Gateway("127.0.0.1", server.sockets[0].getsockname()[1], certificate, SECRET)
    finally:
        server.close()


def test_every_command_is_answered_once_with_as_many_under_way_as_asked_for() -> None:
    leader = Leader()

    async def main() -> Measured:
        async with gateway_of(leader) as gateway:
            return await submit(gateway, frames_of(COMMANDS), under_way=4, connections=1)

    measured = asyncio.run(main())

    assert measured.codes == {"done": 10, "order.not_cancelable": 10}
    assert len(measured.latencies) == 20
    assert (leader.most_waiting, leader.secrets) == (4, [SECRET])


def test_another_certificate_than_that_of_the_lease_is_refused_before_the_secret_is_told() -> None:
    leader = Leader()

    async def main() -> None:
        async with gateway_of(leader) as gateway:
            other = Gateway(gateway.host, gateway.port, "0" * 64, gateway.secret)
            await submit(other, frames_of(COMMANDS), under_way=4, connections=1)

    with pytest.raises(ConnectionError, match="certificate"):
        asyncio.run(main())

    assert leader.secrets == []
