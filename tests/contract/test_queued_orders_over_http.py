"""Orders that wait for a leader, over HTTP: real stream, database, Redis and functions; the service comes and goes."""

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import boto3
import psycopg2
import pytest
from psycopg2 import extensions

from exchange.gateway_client import GatewayClient
from exchange.settings import Service as Settings
from tests.alb import Reply
from tests.aws_server import CREDENTIALS, aws_server
from tests.edge import Edge, functions, keys
from tests.servers import postgres, valkey
from tests.serving import seeded, serving, settings, submitted
from tests.until import until

numbers = itertools.count(1)
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    with aws_server() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(name, value)
        client: Any = boto3.client("kinesis")
        yield client


@pytest.fixture
def given(aws: Any) -> Settings:
    """A seeded cell with keys that nobody leads, and a stream of its own."""
    stream = f"orders-{next(numbers)}"
    aws.create_stream(StreamName=stream, ShardCount=2)
    made = settings(postgres(), valkey())
    with serving(made) as client:
        seeded(client)
        submitted(client, *keys(made.key_encryption_key))
    return replace(made, orders_stream=stream)


class Nobody:
    """A directory of no leader."""

    def leader(self, after_failure: bool) -> None:
        """Return None."""


@contextmanager
def led(given: Settings) -> Iterator[None]:
    with serving(given) as client:
        submitted(client)
        yield


@pytest.fixture
def edge(given: Settings) -> Iterator[Edge]:
    with functions(given, GatewayClient(Nobody(), "", 100), ORDERS_STREAM=given.orders_stream) as made:
        yield made


@contextmanager
def away(database_url: str) -> Iterator[None]:
    """Let nobody reach a database until the block ends."""
    with closing(psycopg2.connect(database_url, dbname="postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        name = extensions.parse_dsn(database_url)["dbname"]
        cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def order(client_order_id: str, side: str = "sell", price: str = "100.00", **more: Any) -> dict[str, Any]:
    return {
        "symbol": "BTC-USD", "side": side, "type": "limit", "quantity": "0.00100", "price": price,
        "client_order_id": client_order_id, **more,
    }  # fmt: skip


def shown(edge: Edge, order_id: str) -> dict[str, Any]:
    reply = edge.call("alice", "GET", f"/v1/orders/{order_id}")
    found: dict[str, Any] = reply.body["order"]
    return found


def settled(edge: Edge, order_id: str) -> dict[str, Any]:
    until(lambda: shown(edge, order_id)["status"] != "queued", 20)
    return shown(edge, order_id)


def test_an_order_waits_while_nobody_leads_can_be_read_and_is_executed_once(given: Settings, edge: Edge) -> None:
    placed = edge.call("alice", "POST", "/v1/orders", order("a"))
    copy = edge.call("alice", "POST", "/v1/orders", order("a"))

    assert (placed.status, copy.status) == (202, 202)
    assert placed.body["order"]["status"] == "queued" and copy.body["replayed"] is True
    order_id = placed.body["order"]["order_id"]
    assert shown(edge, order_id) == placed.body["order"]
    assert edge.call("alice", "GET", "/v1/orders/by-client-id/a").body == {"order": placed.body["order"]}
    assert edge.call("bob", "GET", f"/v1/orders/{order_id}").status == 404
    with led(given):
        assert settled(edge, order_id)["status"] == "new"
        later = until_direct(edge, "a")
    assert (later.status, later.body["replayed"]) == (201, True)
    assert later.body["order"]["sequence"] > 0
    assert len(edge.call("alice", "GET", "/v1/orders").body["data"]) == 1


def test_an_order_that_is_executed_is_not_shown_as_queued_while_the_database_is_away(
    given: Settings, edge: Edge
) -> None:
    order_id = edge.call("alice", "POST", "/v1/orders", order("a")).body["order"]["order_id"]
    with led(given):
        settled(edge, order_id)

    with away(given.database_url):
        replies = [edge.call("alice", "GET", f"/v1/orders/{name}") for name in (order_id, "by-client-id/a")]

    assert [(reply.status, reply.body["code"], reply.body["execution"]) for reply in replies] == [
        (503, "engine.unavailable", "none")
    ] * 2
    until(lambda: edge.call("alice", "GET", f"/v1/orders/{order_id}").status == 200, 5)
    assert shown(edge, order_id)["status"] == "new"


def until_direct(edge: Edge, client_order_id: str) -> Reply:
    """Send an order again until the leader answers."""

    def direct() -> Reply | None:
        reply = edge.call("alice", "POST", "/v1/orders", order(client_order_id))
        return reply if reply.status != 202 else None

    reply = until(direct, 5)
    assert reply is not None
    return reply


def test_the_id_of_a_queued_order_is_taken(edge: Edge) -> None:
    edge.call("alice", "POST", "/v1/orders", order("a"))

    other = edge.call("alice", "POST", "/v1/orders", order("a", price="101.00"))

    assert (other.status, other.body["code"]) == (409, "order.duplicate_mismatch")


def test_an_order_is_canceled_while_it_waits(given: Settings, edge: Edge) -> None:
    order_id = edge.call("alice", "POST", "/v1/orders", order("a")).body["order"]["order_id"]

    canceled = edge.call("alice", "DELETE", f"/v1/orders/{order_id}")

    assert (canceled.status, canceled.body["order"]["status"]) == (202, "queued")
    with led(given):
        until(lambda: shown(edge, order_id)["status"] == "canceled", 10)
        assert shown(edge, order_id)["reason"] == "user"


def test_an_order_is_amended_while_it_waits(given: Settings, edge: Edge) -> None:
    order_id = edge.call("alice", "POST", "/v1/orders", order("a")).body["order"]["order_id"]

    amended = edge.call("alice", "PATCH", f"/v1/orders/{order_id}", {"quantity": "0.00050"})

    assert (amended.status, amended.body["order"]["status"]) == (202, "queued")
    with led(given):
        until(lambda: shown(edge, order_id)["quantity"] == "0.00050", 10)
        assert (shown(edge, order_id)["quantity"], shown(edge, order_id)["status"]) == ("0.00050", "new")


def test_a_cancel_finds_an_order_that_still_waits_though_somebody_leads(given: Settings, edge: Edge) -> None:
    with led(given):
        order_id = edge.call("alice", "POST", "/v1/orders", order("a"), headers=ASYNC).body["order"]["order_id"]
        canceled = edge.call("alice", "DELETE", f"/v1/orders/{order_id}")
        until(lambda: shown(edge, order_id)["status"] == "canceled", 10)

        assert canceled.status in (200, 202), "the leader takes what waits every 200 ms"
        assert shown(edge, order_id)["reason"] == "user"


def test_nothing_that_is_not_there_can_be_canceled(edge: Edge) -> None:
    reply = edge.call("alice", "DELETE", f"/v1/orders/1-{'a' * 26}")

    assert (reply.status, reply.body["code"]) == (404, "resource.not_found")


def test_a_client_may_prefer_not_to_wait(given: Settings, edge: Edge) -> None:
    with led(given):
        reply = edge.call("alice", "POST", "/v1/orders", order("a"), headers=ASYNC)

        assert (reply.status, reply.body["order"]["status"]) == (202, "queued")
        assert settled(edge, reply.body["order"]["order_id"])["status"] == "new"


def test_an_order_past_its_own_deadline_ends_expired(given: Settings, edge: Edge) -> None:
    reply = edge.call("alice", "POST", "/v1/orders", order("a", queue_deadline_ms=1))

    with led(given):
        ended = settled(edge, reply.body["order"]["order_id"])

    assert (ended["status"], ended["reason"]) == ("expired", "queue_deadline")


def test_a_copy_of_an_order_executed_before_gets_its_first_answer_while_nobody_leads(
    given: Settings, edge: Edge
) -> None:
    with led(given):
        first = until_direct(edge, "a")

    copy = edge.call("alice", "POST", "/v1/orders", order("a"))

    assert (first.status, copy.status, copy.body["replayed"]) == (201, 201, True)
    assert copy.body["order"] == first.body["order"]


def test_what_cannot_wait_is_refused_while_nobody_leads(edge: Edge) -> None:
    refused = [
        edge.call("alice", "POST", "/v1/orders/test", order("a")),
        edge.call("alice", "POST", "/v1/orders/batch", {"orders": [order("a")]}),
        edge.call("alice", "DELETE", "/v1/orders"),
    ]

    assert [(reply.status, reply.body["execution"]) for reply in refused] == [(503, "none")] * 3


def test_the_exchange_is_ready_though_degraded_while_orders_wait(edge: Edge) -> None:
    health = edge.call(None, "GET", "/v1/health")

    assert edge.call(None, "GET", "/v1/ready").status == 200
    assert (health.status, health.body["status"], health.body["components"]["engine"]) == (
        200, "degraded", "down",
    )  # fmt: skip
