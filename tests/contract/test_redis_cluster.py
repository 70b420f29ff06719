"""Market data, limits and the leader's place in a real cluster: slots that move, masters that die or stand still."""

import json
import signal
import threading
from collections.abc import Iterator

import pytest

from exchange.orders import Side
from exchange.stores.cache import Cache, CacheAway, CommandError
from matching_service.projections import Bodies
from matching_service.redis_writer import RedisWriter
from tests.redis_cluster import Node, RedisCluster, redis_cluster
from tests.servers import postgres
from tests.serving import limit, seeded, serving, settings
from tests.until import until

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")
"""The hash tags of these are spread over all three masters."""
BOOK = "{BTC-USD}:book:50"
FAIL_OVER_S = 20.0
PATIENT_S = 1.0
"""Of a client that is not tested for its haste."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def cache(cluster: RedisCluster) -> Iterator[Cache]:
    cluster.heal()
    cluster.flush()
    made = Cache(cluster.url, PATIENT_S)
    yield made
    made.close()


@pytest.fixture
def writer(cluster: RedisCluster) -> Iterator[RedisWriter]:
    made = RedisWriter(cluster.url, 1, 100, PATIENT_S)
    yield made
    made.close()


def bodies(sequence: int, is_whole: bool, symbol: str = "BTC-USD") -> Bodies:
    candle = {"1m": [(60, f"candle {sequence}")]}
    return Bodies(symbol, sequence, is_whole, {50: f"book {sequence}"}, "ticker", [f"trade {sequence}"], candle)


def read(cache: Cache, key: str) -> object:
    return cache.call(key, "GET", key)


def written(writer: RedisWriter, sequence: int, is_whole: bool) -> bool:
    """Whether a market was written, as the display asks: Redis may be away."""
    try:
        return writer.write(bodies(sequence, is_whole))
    except (CacheAway, CommandError):
        return False


def other_master(cluster: RedisCluster, than: Node) -> Node:
    return next(node for node in cluster.masters() if node is not than)


def test_market_data_is_read_whichever_node_holds_it(cache: Cache, writer: RedisWriter) -> None:
    writer.write_leader("127.0.0.1:7000", "ab")

    assert [writer.write(bodies(7, is_whole=True, symbol=symbol)) for symbol in SYMBOLS] == [True] * len(SYMBOLS)

    assert [read(cache, f"{{{symbol}}}:book:50") for symbol in SYMBOLS] == [b"book 7"] * len(SYMBOLS)
    assert b"127.0.0.1:7000" in cache.call("{1}:leader", "GET", "{1}:leader")


def test_a_wrong_password_is_refused(cluster: RedisCluster, cache: Cache) -> None:
    stranger = Cache(cluster.url.replace("of%20the%20cluster", "another"), PATIENT_S)

    with pytest.raises(CommandError, match="WRONGPASS"):
        read(stranger, BOOK)
    stranger.close()


def test_an_authority_that_nobody_named_is_not_trusted(cluster: RedisCluster, cache: Cache) -> None:
    distrustful = Cache(cluster.url.partition("?")[0], PATIENT_S)

    with pytest.raises(CacheAway, match="CERTIFICATE_VERIFY_FAILED"):
        read(distrustful, BOOK)


def test_a_slot_is_read_while_it_moves_and_when_it_has_moved(
    cluster: RedisCluster, cache: Cache, writer: RedisWriter
) -> None:
    writer.write(bodies(7, is_whole=True))
    slot = cluster.slot(BOOK)
    source = cluster.owner(slot)
    target = other_master(cluster, source)
    before = read(cache, BOOK)

    cluster.begin_move(slot, source, target)
    between = read(cache, BOOK)
    cluster.end_move(slot, target)

    assert [before, between, read(cache, BOOK)] == [b"book 7"] * 3
    assert writer.write(bodies(8, is_whole=False))
    assert read(cache, BOOK) == b"book 8"
    assert cluster.owner(slot) is target


def test_market_data_is_right_again_after_a_slot_moved_under_load(
    cluster: RedisCluster, cache: Cache, writer: RedisWriter
) -> None:
    slot = cluster.slot(BOOK)
    source, stopping = cluster.owner(slot), threading.Event()
    sequences: list[int] = []

    def write() -> None:
        is_whole, sequence = True, 0
        while not stopping.is_set() or not sequences:
            sequence += 1
            is_whole = not written(writer, sequence, is_whole)
            if not is_whole:
                sequences.append(sequence)

    writing = threading.Thread(target=write)
    writing.start()
    for target in (other_master(cluster, source), source):
        cluster.begin_move(slot, cluster.owner(slot), target)
        cluster.end_move(slot, target)
    count = len(sequences)
    assert until(lambda: len(sequences) > count + 20, 10)
    stopping.set()
    writing.join()

    assert read(cache, BOOK) == f"book {sequences[-1]}".encode()
    trades = cache.call(BOOK, "LRANGE", "{BTC-USD}:trades", 0, 2)
    assert trades[0] == f"trade {sequences[-1]}".encode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_master_is_waited_for_by_nobody_and_its_replica_is_found(
    cluster: RedisCluster, cache: Cache, writer: RedisWriter, number: signal.Signals
) -> None:
    slot = cluster.slot(BOOK)
    lost = cluster.owner(slot)
    elsewhere = next(key for key in map(str, range(100)) if cluster.owner(cluster.slot(key)) is not lost)
    assert writer.write(bodies(7, is_whole=True))
    assert until(lambda: read(cache, BOOK) == b"book 7", 5)
    cache.call(elsewhere, "SET", elsewhere, "there")

    lost.send(number)
    with pytest.raises(CacheAway):
        read(cache, BOOK)
    with pytest.raises(CacheAway, match="too soon"):
        read(cache, BOOK)
    still_there = read(cache, elsewhere)
    attempts = iter(range(8, 1_000_000))
    is_found = until(lambda: written(writer, next(attempts), is_whole=True), FAIL_OVER_S)

    assert still_there == b"there"
    assert is_found
    assert until(lambda: readable(cache), FAIL_OVER_S)
    cluster.heal()
    assert cluster.owner(slot) is not lost


def readable(cache: Cache) -> bool:
    try:
        return read(cache, BOOK) is not None
    except (CacheAway, CommandError):
        return False


def test_what_a_fail_over_lost_is_written_whole_again(cache: Cache, writer: RedisWriter) -> None:
    writer.write(bodies(7, is_whole=True))
    writer.write(bodies(8, is_whole=False))
    cache.call(BOOK, "SET", "{BTC-USD}:sequence", 7)
    cache.call(BOOK, "LPOP", "{BTC-USD}:trades")

    assert not writer.write(bodies(9, is_whole=False))
    assert cache.call(BOOK, "LRANGE", "{BTC-USD}:trades", 0, -1) == [b"trade 7"]
    assert writer.write(bodies(9, is_whole=True))
    assert writer.write(bodies(10, is_whole=False))
    assert cache.call(BOOK, "LRANGE", "{BTC-USD}:trades", 0, -1) == [b"trade 10", b"trade 9"]


def test_orders_go_on_while_a_master_fails_over_and_market_data_follows(cluster: RedisCluster, cache: Cache) -> None:
    def shown() -> object:
        try:
            return json.loads(cache.call(BOOK, "GET", BOOK) or "{}")
        except (CacheAway, CommandError):
            return {}

    with serving(settings(postgres(), cluster.url)) as client:
        seeded(client)
        client.submit([limit("alice", Side.SELL, 5, 10_000)])
        assert until(shown, 10)
        cluster.owner(cluster.slot(BOOK)).send(signal.SIGKILL)
        answers = [client.submit([limit("alice", Side.SELL, 5, 10_000 + number)]) for number in range(100)]
        leaders_book = json.loads(client.look("book", "BTC-USD") or "")

        assert until(lambda: shown() and shown()["sequence"] == leaders_book["sequence"], FAIL_OVER_S)  # type: ignore[index]
        assert shown()["asks"] == leaders_book["asks"][:50]  # type: ignore[index]
        assert all(answer.order is not None for [answer] in answers)
