"""The fault matrix: each row by its name, what it does, how often, and what the system is told when it starts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.settings import Settings
from tests.chaos import rows_clients, rows_leader, rows_parts, rows_tasks
from tests.chaos.field import Field


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `times` is how often the fault is done in a whole run.

    `failpoint` holds `{nth}`, which each run draws from `nth`; `needs` are settings of the local run.
    """

    says: str
    play: Callable[[Field], None]
    times: int
    failpoint: str = ""
    nth: tuple[int, int] = (20, 60)
    needs: Mapping[str, str] = field(default_factory=dict)
    has_proxies: bool = False

    @property
    def missing(self) -> str:
        """Tell what the local run cannot be told yet, an empty text when it can be told all."""
        return ", ".join(f"{name}={value}" for name, value in self.needs.items() if name.lower() not in KNOWN)


KNOWN = frozenset(Settings.__annotations__)
REPLICATED = {"REPLICATED": "1"}

_AT_FAILPOINTS = {
    f"kill-{name.replace('_', '-')}": Row(
        f"kill -9 of the leader at {name}", rows_leader.killed_at_failpoint, 20, f"{name}:{{nth}}:kill"
    )
    for name in rows_leader.KILLED_AT
}
_IN_PUBLISHER = {
    f"kill-{name.replace('_', '-')}": Row(
        f"kill -9 of the publisher at {name}", rows_leader.killed_publisher, 10, f"{name}:{{nth}}:kill", (2, 6)
    )
    for name in rows_leader.IN_PUBLISHER
}
_PARTS = {
    f"kill-{part.replace('_', '-')}": Row(f"kill -9 of {part} at random", rows_leader.killed_part(part), times)
    for part, times in {
        "edge": 10,
        "valkey": 10,
        "postgres": 10,
        "ministack": 5,
        "osmem": 5,
        "event_sources": 5,
    }.items()
}
_NETWORKS = {
    f"{fault}-{store}": Row(says.format(store=store), make(store), 5, has_proxies=True)
    for store in ("database", "redis")
    for fault, says, make in (
        ("reset", "every connection to the {store} reset", rows_parts.cut_off),
        ("swallow", "the network to the {store} gone for 2 to 5 s, silently", rows_parts.swallowed),
        ("delay", "every piece to and from the {store} 500 ms late for 5 s", rows_parts.delayed),
    )
}

ROWS: dict[str, Row] = {
    "kill-random": Row("kill -9 of the leader at random", rows_leader.killed_part("matching_service"), 100),
    **_AT_FAILPOINTS,
    "stop-leader": Row("SIGSTOP of the leader past its lease, then CONT", rows_leader.stopped_leader, 15),
    "stop-in-transaction": Row(
        "SIGSTOP of the leader between insert and commit, past its lease, then CONT",
        rows_leader.stopped_within_transaction, 15, "after_insert:{nth}:stop",
    ),
    "poison": Row("a command that raises", rows_leader.poisoned, 1, "before_apply:{nth}:raise"),
    "poison-twice": Row(
        "two commands that raise within a minute: the cell stops", rows_leader.poisoned_twice, 1,
        "before_apply:{nth}:raise,before_apply:90:raise",
    ),
    **_IN_PUBLISHER,
    "kill-functions": Row("kill -9 of half of the execution environments", rows_parts.killed_functions, 10),
    **_PARTS,
    "stop-redis": Row("Redis stopped: it takes connections and answers nothing", rows_parts.stopped_parts("valkey"), 5),
    "flush-redis": Row("FLUSHALL", rows_parts.flushed_redis, 10),
    "throttle-stream": Row("the stream refuses every call", rows_parts.throttled_stream, 5, has_proxies=True),
    "fail-stream": Row("the stream answers 500 to every call", rows_parts.failing_stream, 5, has_proxies=True),
    "lose-replies": Row("the stream does as asked, its reply is lost", rows_parts.lost_replies, 5, has_proxies=True),
    "stop-copies": Row(
        "archive, stream and search stopped", rows_parts.stopped_parts("ministack", "osmem", "event_sources"), 3
    ),
    "restart-database": Row("PostgreSQL restarted", rows_leader.restarted_database, 5),
    "kill-primary": Row("kill -9 of the primary database", rows_leader.killed_primary, 30, needs=REPLICATED),
    "stop-primary": Row("SIGSTOP of the primary database", rows_leader.stopped_primary, 5, needs=REPLICATED),
    **_NETWORKS,
    "copies": Row("2 to 50 copies of one request at once, half of them under a kill", rows_clients.copied, 20),
    "other-body": Row("two bodies under one id at once, half of them under a kill", rows_clients.other_body, 20),
    "client-clock": Row("requests signed with a clock an hour off", rows_clients.wrong_clocks, 10),
    "flood": Row("forged, malformed and oversized requests", rows_clients.flooded, 3),
    "clock": Row("the leader's clock stepped by an hour, both ways", rows_tasks.stepped_clock, 3),
    "everything": Row("kill -9 of every process at once, and a new start", rows_leader.everything_killed, 5),
    "restart-leader": Row("the leader asked to end, as by a deployment", rows_leader.rolling_restart, 20),
    "standby-kill": Row("kill -9 of the leader beside a standby", rows_tasks.killed_beside_standby, 20),
    "hand-over": Row("the leader asked to end beside a standby", rows_tasks.handed_over, 10),
    "standby-stop": Row("SIGSTOP of the leader beside a standby, then CONT", rows_tasks.stopped_beside_standby, 15),
}  # fmt: skip
