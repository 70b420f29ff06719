"""A real matching service in a thread of the test, on a real database and Redis, and a client of its gateway."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from exchange.commands import Command
from exchange.gateway_client import GatewayClient
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce, order_id_of
from exchange.settings import Service as Settings
from exchange.wire import Answer
from matching_service import seed
from matching_service.bootstrap import LeaseDirectory
from matching_service.database import connect
from matching_service.service import Service

SECRET = "the deployment's secret"
CELL = 1
_numbers = itertools.count(1)


def settings(database_url: str, redis_url: str) -> Settings:
    """Settings of a service on free ports that publishes to no stream."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        gateway_secret=SECRET,
        key_encryption_key="0" * 64,
        executions_stream="",
        gateway_host="127.0.0.1",
        gateway_port=0,
        gateway_address="127.0.0.1",
        lease_ms=1000,
    )


@contextmanager
def serving(given: Settings) -> Iterator[GatewayClient]:
    """Run a service until the block ends; yield a client that waits for it to lead."""
    with running(Service(given)) as client:
        yield client


@contextmanager
def running(service: Service) -> Iterator[GatewayClient]:
    """Run this service until the block ends; yield a client that waits for it to lead."""
    given, loop = service.settings, asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(service.run(),), daemon=True)
    thread.start()
    connection = connect(given.database_url, given.database_password, "test")
    client = GatewayClient(LeaseDirectory(connection, given.cell), given.gateway_secret, 20_000)
    try:
        yield client
    finally:
        client.close()
        connection.close()
        loop.call_soon_threadsafe(service.stop)
        thread.join(20)
        assert not thread.is_alive(), "the service did not stop"
        loop.close()


def seeded(client: GatewayClient) -> None:
    """Apply the seed."""
    submitted(client, *seed.commands(CELL, "local"))


def submitted(client: GatewayClient, *commands: Command) -> list[Answer]:
    """Submit, again and again while nobody leads yet."""
    from exchange.errors import Unavailable

    for _ in range(200):
        try:
            return client.submit(list(commands))
        except Unavailable as unavailable:
            last = unavailable
            threading.Event().wait(0.05)
    raise last


def limit(account: str, side: Side, lots: int, at: int, client_order_id: str = "") -> PlaceOrder:
    """A limit order of a seeded account in BTC-USD; lots of 0.00001 BTC, ticks of 0.01 USD."""
    account_id = seed.account_id_of(account)
    client_id = client_order_id or f"o-{next(_numbers)}"
    return PlaceOrder(
        order_id_of(CELL, account_id, client_id), account_id, client_id, "BTC-USD", side, OrderType.LIMIT, lots, at,
        TimeInForce.GTC,
    )  # fmt: skip
