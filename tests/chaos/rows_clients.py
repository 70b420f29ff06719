"""The rows of the matrix that clients do: copies, other bodies under one id, wrong clocks, floods of refused calls."""

import itertools
import threading
from functools import partial

from client.sdk import Request
from client.signing import Key, signed_headers
from exchange.orders import order_id_of
from tests.chaos.field import Field, Violation
from tests.chaos.processes import pause
from tests.chaos.recording import ATTEMPT_S, CELL, PATIENCE_S, Document, Recorder, an_order, recorded
from tests.checkers.history import Call, Kind

MOST_COPIES = 50


class Copier(Recorder):
    """A client that sends one request, signed by another, as its own."""

    request: Request | None = None

    def _signed(self, method: str, path: str, query: str, document: Document | None) -> Request:
        signed = super()._signed(method, path, query, document)
        return self.request or signed


def copied(field: Field) -> None:
    """Send one signed request 2 to 50 times at once, half of the times while the leader is killed."""
    for number in range(field.times):
        field.acknowledged(5, 20)
        order = an_order(field.chance, f"copies-{number}")
        field.fault()
        _at_once(field, [order] * field.chance.randint(2, MOST_COPIES), is_one_request=True, kills=number % 2 == 1)
    field.acknowledged(20)


def other_body(field: Field) -> None:
    """Send two orders under one id at once: one is done, the other is refused as not being it."""
    for number in range(field.times):
        field.acknowledged(5, 20)
        order = an_order(field.chance, f"bodies-{number}")
        orders = [order, order | {"quantity": "0.12345"}] * field.chance.randint(1, 5)
        field.fault()
        calls = _at_once(field, orders, is_one_request=False, kills=number % 2 == 1)
        done = [call.status == 409 for call in calls]
        if not (done[::2] == [not other for other in done[1::2]] and len(set(done[::2])) == 1):
            raise Violation(f"I2: two bodies under one id were answered {[call.status for call in calls]}")
    field.acknowledged(20)


def wrong_clocks(field: Field) -> None:
    """Sign with a clock an hour off: refused at the door, and no trace is left."""
    account = field.account("alice")
    for number in range(field.times):
        hours = (-1, 1)[number % 2]
        with OffClock(field.system.base_url, account.key, deadline_s=PATIENCE_S, attempt_s=ATTEMPT_S) as client:
            client.off_ms = hours * 3_600_000
            field.fault()
            field.calls.append(_placed(field, client, an_order(field.chance, f"clock-{number}")))
        if field.calls[-1].document.get("code") != "auth.expired":
            raise Violation(f"a signature {hours} h off was answered {field.calls[-1].document}")


class OffClock(Recorder):
    """A client whose clock is wrong."""

    off_ms = 0

    def _signed(self, method: str, path: str, query: str, document: Document | None) -> Request:
        signed = super()._signed(method, path, query, document)
        assert self._key is not None
        headers = {name: value for name, value in signed.headers.items() if not name.startswith("X-Api-")}
        now_ms = int(signed.headers["X-Api-Timestamp"]) + self.off_ms
        window_ms = int(signed.headers["X-Api-Window"])
        headers |= signed_headers(self._key, now_ms, window_ms, method, path, query, signed.body)
        return Request(method, signed.target, headers, signed.body)


def flooded(field: Field) -> None:
    """Flood the edge with forged, malformed and oversized requests: they are refused, and traders go on."""
    stopping, refused = threading.Event(), itertools.count()
    threads = [threading.Thread(target=_flood, args=(field, stopping, refused), daemon=True) for _ in range(4)]
    field.acknowledged(50)
    field.fault()
    for thread in threads:
        thread.start()
    pause(2.0 * field.times)
    field.acknowledged(20)
    stopping.set()
    for thread in threads:
        thread.join(60)
    if next(refused) < 20 * field.times:
        raise Violation("the flood was none")


def _flood(field: Field, stopping: threading.Event, refused: "itertools.count[int]") -> None:
    forged = Recorder(field.system.base_url, Key("ex_" + "0" * 24, "forged"), deadline_s=5, attempt_s=5)
    account = field.account("bob")
    real = Recorder(field.system.base_url, account.key, deadline_s=5, attempt_s=5)
    bodies: list[tuple[Recorder, Document, tuple[int, ...]]] = [
        (forged, {"symbol": "BTC-USD"}, (401, 429)),
        (real, {"symbol": "BTC-USD", "quantity": 1}, (422, 429)),
        (real, {"symbol": "X" * 1_000_000}, (413, 429)),
    ]
    for client, body, expected in itertools.cycle(bodies):
        if stopping.is_set():
            break
        call = recorded(client, account, Kind.ORDER, partial(client.call, "POST", "/v1/orders", document=body), "")
        next(refused)
        if call.status not in expected:
            field.problems.append(f"a flood's request was answered {call.status}, not one of {expected}")
    forged.close()
    real.close()


def _at_once(field: Field, orders: list[Document], *, is_one_request: bool, kills: bool) -> list[Call]:
    """Send orders from as many connections at one moment; return their calls in the order of the orders."""
    account = field.account("bob")
    clients = [Copier(field.system.base_url, account.key, deadline_s=PATIENCE_S, attempt_s=ATTEMPT_S) for _ in orders]
    if is_one_request:
        request = clients[0]._signed("POST", "/v1/orders", "", orders[0])
        for client in clients:
            client.request = request
    calls: dict[int, Call] = {}
    gate = threading.Barrier(len(orders))

    def send(place: int) -> None:
        gate.wait()
        calls[place] = _placed(field, clients[place], orders[place])

    threads = [threading.Thread(target=send, args=(place,), daemon=True) for place in range(len(orders))]
    for thread in threads:
        thread.start()
    if kills:
        field.system.kill("matching_service")
    for thread in threads:
        thread.join(PATIENCE_S + 20)
    if kills:
        field.system.line("matching_service serves again")
    for client in clients:
        client.close()
    in_order = [calls[place] for place in range(len(orders))]
    field.calls += in_order
    return in_order


def _placed(field: Field, client: Recorder, order: Document) -> Call:
    account = field.account("alice" if isinstance(client, OffClock) else "bob")
    order_id = order_id_of(CELL, account.account_id, order["client_order_id"])
    return recorded(client, account, Kind.PLACE, partial(client.call, "POST", "/v1/orders", document=order), order_id)
