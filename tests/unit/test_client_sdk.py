import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from client.sdk import Client, Rejected, Unavailable
from client.signing import Key

Answer = tuple[int, dict[str, str], bytes] | None
"""Status, headers and body; None closes the connection without a word."""
Seen = tuple[str, str, dict[str, str], bytes]


@contextmanager
def exchange(*answers: Answer) -> Iterator[tuple[str, list[Seen]]]:
    """Serve `answers` one after another, the last one for ever; yield the address and what was received."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = answers[min(len(seen), len(answers) - 1)]
            seen.append((self.command, self.path, dict(self.headers), body))
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def json_answer(status: int, document: object) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


PLACED = json_answer(201, {"order": {"status": "new"}, "fills": []})


def test_same_bytes_are_sent_again_after_a_502_in_html_and_after_no_reply() -> None:
    with exchange((502, {}, b"<html>"), None, PLACED) as (address, seen), Client(address, Key("k", "s")) as client:
        placed = client.place({"symbol": "BTC-USD"})

    assert placed == {"order": {"status": "new"}, "fills": []}
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]


def test_order_without_an_id_is_given_one() -> None:
    with exchange(PLACED) as (address, seen), Client(address, Key("k", "s")) as client:
        client.place({"symbol": "BTC-USD"})

    assert len(json.loads(seen[0][3])["client_order_id"]) == 32


def test_refusal_is_raised_with_its_code_and_not_sent_again() -> None:
    problem = {"code": "order.insufficient_funds", "detail": "The available balance does not cover the order."}
    with (
        exchange(json_answer(422, problem)) as (address, seen),
        Client(address, Key("k", "s")) as client,
        pytest.raises(Rejected) as raised,
    ):
        client.place({"symbol": "BTC-USD"})

    assert (raised.value.status, raised.value.code, len(seen)) == (422, "order.insufficient_funds", 1)


def test_501_is_final() -> None:
    with (
        exchange(json_answer(501, {"code": "request.not_implemented"})) as (address, seen),
        Client(address, Key("k", "s")) as client,
        pytest.raises(Rejected, match=r"request\.not_implemented"),
    ):
        client.cancel("1-abc")

    assert len(seen) == 1


@pytest.mark.parametrize(
    ("answers", "execution"),
    [
        ([json_answer(503, {"code": "engine.unavailable", "execution": "none"})], "none"),
        ([json_answer(503, {"code": "engine.unavailable", "execution": "unknown"})], "unknown"),
        ([(502, {}, b"<html>"), json_answer(503, {"execution": "none"})], "unknown"),
        ([json_answer(429, {"code": "rate.limited"})], "none"),
        ([None], "unknown"),
    ],
)
def test_deadline_says_whether_anything_can_have_happened(answers: list[Answer], execution: str) -> None:
    with (
        exchange(*answers) as (address, _),
        Client(address, Key("k", "s"), deadline_s=0.2) as client,
        pytest.raises(Unavailable) as raised,
    ):
        client.place({"symbol": "BTC-USD"})

    assert raised.value.execution == execution


def test_pages_follow_the_cursor_to_the_end() -> None:
    pages = [
        json_answer(200, {"data": [{"n": 1}, {"n": 2}], "next_cursor": "a+b"}),
        json_answer(200, {"data": [{"n": 3}], "next_cursor": None}),
    ]
    with exchange(*pages) as (address, seen), Client(address) as client:
        found = list(client.trades("BTC-USD"))

    assert found == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [path for _, path, _, _ in seen] == [
        "/v1/markets/BTC-USD/trades",
        "/v1/markets/BTC-USD/trades?cursor=a%2Bb",
    ]


def test_anonymous_client_signs_nothing() -> None:
    with exchange(json_answer(200, {"last_price": None})) as (address, seen), Client(address) as client:
        client.ticker("BTC-USD")

    assert not [name for name in seen[0][2] if name.lower().startswith("x-api")]


def test_every_call_that_changes_something_is_sent_as_the_contract_says() -> None:
    with exchange(json_answer(200, {})) as (address, seen), Client(address, Key("k", "s")) as client:
        client.amend("1-abc", price="2")
        client.amend("1-abc", "3", "4")
        client.cancel_all_after(5000)
        client.change_account("acc_1", "suspended")
        client.kill("acc_1")
        client.change_market("BTC-USD", {"status": "auction"})
        client.halt()
        client.resume()

    assert [(method, path, body) for method, path, _, body in seen] == [
        ("PATCH", "/v1/orders/1-abc", b'{"price":"2"}'),
        ("PATCH", "/v1/orders/1-abc", b'{"quantity":"3","price":"4"}'),
        ("POST", "/v1/orders/cancel-all-after", b'{"timeout_ms":5000}'),
        ("PATCH", "/v1/admin/accounts/acc_1", b'{"status":"suspended"}'),
        ("POST", "/v1/admin/accounts/acc_1/cancel-all", b""),
        ("PATCH", "/v1/admin/markets/BTC-USD", b'{"status":"auction"}'),
        ("POST", "/v1/admin/halt", b""),
        ("POST", "/v1/admin/resume", b""),
    ]


def test_both_orders_of_a_pair_are_given_ids_of_their_own() -> None:
    with exchange(json_answer(201, {"orders": [], "fills": []})) as (address, seen), Client(address) as client:
        client.place_pair({"type": "limit"}, {"type": "stop"})

    first, second = json.loads(seen[0][3])["orders"]
    assert seen[0][:2] == ("POST", "/v1/orders/oco")
    assert len({first["client_order_id"], second["client_order_id"]}) == 2
