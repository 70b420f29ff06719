"""The rows of the matrix that are done to what is beside the leader: functions, Redis, streams, stores, networks."""

import signal
from collections.abc import Callable

import redis

from tests.chaos.field import Field
from tests.chaos.processes import children_of, kill, pause
from tests.chaos.stores import Stores
from tests.faulty_proxy import LoseReply, Reply
from tests.tcp_proxy import TcpProxy

THROTTLED = Reply(400, b'{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}')
AWAY = Reply(500, b'{"__type":"InternalFailure","message":"away"}')


def killed_functions(field: Field) -> None:
    """Kill half of the execution environments between a request and its reply."""
    for _ in range(field.times):
        field.acknowledged(10, 60)
        environments = children_of(field.system.pids()["edge"])
        field.fault()
        for pid in field.chance.sample(environments, (len(environments) + 1) // 2):
            kill(pid)
    field.acknowledged(20)


def stopped_parts(*parts: str) -> Callable[[Field], None]:
    """Return a row that stops processes for a while: they take connections and answer nothing."""

    def play(field: Field) -> None:
        for _ in range(field.times):
            field.acknowledged(5, 60)
            pids = [field.system.pids()[part] for part in parts]
            field.fault()
            for pid in pids:
                kill(pid, signal.SIGSTOP)
            field.acknowledged(30)  # orders go on without them
            pause(field.chance.uniform(1, 3))
            for pid in pids:
                kill(pid, signal.SIGCONT)
        field.acknowledged(20)

    return play


def flushed_redis(field: Field) -> None:
    """Empty Redis again and again."""
    with redis.Redis.from_url(field.system.variables["REDIS_URL"]) as client:
        for _ in range(field.times):
            field.acknowledged(10, 60)
            field.fault()
            client.flushall()
    field.acknowledged(20)


def throttled_stream(field: Field) -> None:
    """Let the stream refuse every call for a while: orders must not notice."""
    _each_call(field, THROTTLED)


def failing_stream(field: Field) -> None:
    """Let the stream answer with errors of its own for a while."""
    _each_call(field, AWAY)


def lost_replies(field: Field) -> None:
    """Let the stream do what it is asked and lose its replies."""
    _each_call(field, LoseReply())


def _each_call(field: Field, fault: Reply | LoseReply) -> None:
    faults = stores_of(field).aws.faults
    for _ in range(field.times):
        field.acknowledged(10, 60)
        field.fault()
        faults.extend([fault] * field.chance.randint(5, 40))
        field.acknowledged(30)
    faults.clear()


def cut_off(which: str) -> Callable[[Field], None]:
    """Return a row that resets every connection to a store."""

    def play(field: Field) -> None:
        for _ in range(field.times):
            field.acknowledged(5, 60)
            field.fault()
            proxy_of(field, which).reset()
        field.acknowledged(20)

    return play


def swallowed(which: str) -> Callable[[Field], None]:
    """Return a row in which the network to a store takes everything and brings nothing, and tells nobody."""

    def play(field: Field) -> None:
        for _ in range(field.times):
            field.acknowledged(5, 60)
            field.fault()
            proxy_of(field, which).swallow()
            pause(field.chance.uniform(2, 5))
            proxy_of(field, which).pass_on()
        field.acknowledged(20)

    return play


def delayed(which: str) -> Callable[[Field], None]:
    """Return a row in which every piece on the way to or from a store is 500 ms late."""

    def play(field: Field) -> None:
        for _ in range(field.times):
            field.acknowledged(5, 60)
            field.fault()
            proxy_of(field, which).delay(0.5)
            pause(5)
            proxy_of(field, which).pass_on()
        field.acknowledged(20)

    return play


def proxy_of(field: Field, which: str) -> TcpProxy:
    """Return the proxy of `database` or `redis`."""
    found = stores_of(field)
    return found.database if which == "database" else found.redis


def stores_of(field: Field) -> Stores:
    """Return the stores of a row that has proxies."""
    assert field.stores is not None, "the row says that it needs them"
    return field.stores
