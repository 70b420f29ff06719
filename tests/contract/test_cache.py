"""The Redis client against a real server, a cluster's redirections and a server that is gone or silent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exchange.stores.cache import PAUSE_S, Cache, CacheAway, CommandError, Script
from tests.servers import valkey, valkey_cluster


@pytest.fixture(params=["a server", "a cluster"])
def url(request: pytest.FixtureRequest) -> str:
    return valkey() if request.param == "a server" else valkey_cluster()


@pytest.fixture
def cache(url: str) -> Iterator[Cache]:
    made = Cache(url, timeout_s=1.0)
    yield made
    made.close()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def node(*replies: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one scripted reply a request on one connection after the other; yield the URL and what was received.

    Asked for the slots of its cluster it says that there is none.
    """
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        left = list(replies)
        while left:
            connection, _ = listener.accept()
            with connection:
                while left and (request := connection.recv(65536)):
                    if b"CLUSTER" in request:
                        connection.sendall(b"-ERR This instance has cluster support disabled\r\n")
                        continue
                    received.append(request)
                    connection.sendall(left.pop(0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        thread.join(5)
        listener.close()


def test_values_of_every_kind_come_back(cache: Cache) -> None:
    cache.call("a", "SET", "a", b"\x00\xff")
    cache.call("l", "RPUSH", "l", "x", 2)

    assert cache.call("a", "GET", "a") == b"\x00\xff"
    assert cache.call("b", "GET", "b") is None
    assert cache.call("l", "LLEN", "l") == 2
    assert cache.call("l", "LRANGE", "l", 0, -1) == [b"x", b"2"]
    assert cache.call("n", "LRANGE", "n", 0, -1) == []
    assert cache.call("p", "PING") == b"PONG"


def test_a_long_value_comes_back_whole(cache: Cache) -> None:
    cache.call("a", "SET", "a", "é" * 300_000)

    assert cache.call("a", "GET", "a") == "é".encode() * 300_000


def test_a_refused_command_is_told_apart_from_a_server_that_is_away(cache: Cache) -> None:
    cache.call("a", "SET", "a", "text")

    with pytest.raises(CommandError, match="WRONGTYPE"):
        cache.call("a", "LPUSH", "a", 1)
    assert cache.call("a", "GET", "a") == b"text"


def test_a_script_is_sent_whole_once_and_by_its_digest_then(cache: Cache) -> None:
    script = Script("return {KEYS[1], ARGV[1], 7}")

    assert cache.run(script, ("k",), (5,)) == [b"k", b"5", 7]
    cache.call("k", "SCRIPT", "FLUSH")
    assert cache.run(script, ("k",), (5,)) == [b"k", b"5", 7]
    assert cache.call("k", "SCRIPT", "EXISTS", script.digest) == [1]


def test_a_connection_that_the_server_closed_is_replaced_unnoticed(cache: Cache, url: str) -> None:
    cache.call("a", "SET", "a", 1)
    other = Cache(url, timeout_s=1.0)
    other.call("a", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    other.close()

    assert cache.call("a", "PING") == b"PONG"


def test_a_server_that_is_gone_is_told_at_once_and_tried_again_after_a_pause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"redis://127.0.0.1:{closed.getsockname()[1]}"
    clock = Clock()
    cache = Cache(url, clock=clock)

    for _ in range(3):
        with pytest.raises(CacheAway):
            cache.call("a", "GET", "a")
    with pytest.raises(CacheAway, match="too soon"):
        cache.call("a", "GET", "a")
    clock.now += PAUSE_S
    with pytest.raises(CacheAway, match="refused"):
        cache.call("a", "GET", "a")


def test_a_server_that_says_nothing_is_away_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = Cache(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)

        with pytest.raises(CacheAway):
            cache.call("a", "GET", "a")


@pytest.mark.parametrize("reply", [b"?what\r\n", b"$5\r\nab", b":x\r\n", b""])
def test_an_answer_that_is_none_means_away(reply: bytes) -> None:
    with node(reply) as (url, _):
        cache = Cache(url)

        with pytest.raises(CacheAway):
            cache.call("a", "GET", "a")


def test_a_moved_slot_is_followed_and_remembered() -> None:
    with node(b"$1\r\nx\r\n", b"$1\r\ny\r\n") as (owner, asked_owner):
        place = owner.removeprefix("redis://")
        with node(f"-MOVED 15495 {place}\r\n".encode()) as (home, asked_home):
            cache = Cache(home)

            assert [cache.call("a", "GET", "a"), cache.call("a", "GET", "a")] == [b"x", b"y"]
            cache.close()

    assert (len(asked_home), len(asked_owner)) == (1, 2)


def test_a_slot_on_its_way_is_asked_for_once() -> None:
    with node(b"+OK\r\n$1\r\nx\r\n") as (importing, asked):
        place = importing.removeprefix("redis://")
        with node(f"-ASK 15495 {place}\r\n".encode(), b"$1\r\ny\r\n") as (home, _):
            cache = Cache(home)

            assert [cache.call("a", "GET", "a"), cache.call("a", "GET", "a")] == [b"x", b"y"]
            cache.close()

    assert asked[0].startswith(b"*1\r\n$6\r\nASKING\r\n")


def test_a_circle_of_redirections_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    moved = f"-MOVED 15495 127.0.0.1:{port}\r\n".encode()
    with node(moved) as (home, _):
        cache = Cache(home)

        with pytest.raises(CacheAway):
            cache.call("a", "GET", "a")
        cache.close()


def test_a_password_is_sent_before_anything_else() -> None:
    with node(b"+OK\r\n", b"$1\r\nx\r\n") as (url, asked):
        cache = Cache(url.replace("redis://", "redis://user:p%40ss@"))

        assert cache.call("a", "GET", "a") == b"x"
        cache.close()

    assert asked[0] == b"*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$4\r\np@ss\r\n"
