"""Scale-in protection, against an agent that answers as the Amazon ECS guide says."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from matching_service import protection
from tests.until import until

ON = ("PUT", "/task-protection/v1/state", {"ProtectionEnabled": True, "ExpiresInMinutes": 60})
OFF = ("PUT", "/task-protection/v1/state", {"ProtectionEnabled": False})


@contextmanager
def agent(*answers: tuple[int, dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Serve these answers, the last one again and again; yield the address and what was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = answers[min(len(asked), len(answers) - 1)]
            asked.append((self.command, self.path, body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


async def held_until(agent_address: str, asked: list[Any], count: int) -> None:
    holding = asyncio.create_task(protection.hold(agent_address, again_s=0.01, retry_s=0.01))
    await asyncio.to_thread(until, lambda: len(asked) >= count, 10)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


def test_a_leader_asks_again_before_its_protection_ends_and_gives_it_back() -> None:
    with agent((200, {"protection": {"ProtectionEnabled": True}})) as (address, asked):
        asyncio.run(held_until(address, asked, 2))

    assert asked[:2] == [ON, ON]
    assert asked[-1] == OFF


def test_an_agent_that_fails_is_asked_again_and_ends_nothing() -> None:
    refused = (400, {"error": {"Code": "AccessDeniedException"}})
    failed = (200, {"failure": {"Reason": "DEPLOYMENT_BLOCKED"}})
    with agent(refused, failed, (200, {"protection": {}})) as (address, asked):
        asyncio.run(held_until(address, asked, 3))

    assert asked[:3] == [ON, ON, ON]


def test_no_agent_at_all_is_no_protection_and_no_error() -> None:
    assert protection.put("http://127.0.0.1:9", True) is False
