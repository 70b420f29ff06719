"""The simulated PostgreSQL: statements of the service, each with its effect at one moment, locks, backends, failures.

It knows exactly the statements that a leader, a standby and an answer from the tables send, by how they begin; any
other is a mistake in the simulation and raises.
"""

from collections import deque
from collections.abc import Callable

import psycopg2

from matching_service.journal import FENCED, JournalRow
from tests.simulation.process import Job, Process
from tests.simulation.tables import CELL, Lease, Row, Tables
from tests.simulation.world import World

Outcome = Callable[[], list[Row]]
"""What a statement returns, or raises."""
DETECTED_S = 2.4
"""When a cut-off peer is given up, by either side."""
IDLE_S = 1.0
"""How long a transaction may wait for its next statement."""
PATIENCE_S = 5.0
"""When a client gives up waiting for a server that is slow."""


class FencedError(psycopg2.DatabaseError):
    """The error of `commit_batch` where the fence has moved."""

    pgcode = FENCED


class Backend:
    """The server's side of one connection."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self.is_ended = False
        self.is_autocommit = True
        self.pending: JournalRow | None = None  # inserted in a transaction that is open
        self.fail: Callable[[Outcome], None] | None = None  # tells the client, which waits for a statement


class Database:
    """One server and the network to it; `cut` holds the names of processes that it cannot hear or be heard by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tables = Tables()
        self.clock_us = 1_763_797_044_000_000
        self.cut: set[str] = set()
        self.slow_s = 0.0
        self.backends: list[Backend] = []
        self.lock: Backend | None = None
        self.waiting: deque[tuple[Backend, Callable[[], None]]] = deque()
        self.checks_fence = True
        self.commits = self._commit

    def now_us(self) -> int:
        """The database's clock, which may be stepped."""
        return self.clock_us + self.world.now_ns // 1000

    # The way there and back

    def connect(self, process: Process, name: str) -> Backend:
        """Open a connection from a job of `process`; blocks that job."""
        backend = Backend(process, name)

        def begin(back: Callable[[Outcome], None]) -> None:
            def arrive() -> None:
                self.backends.append(backend)
                self._carry(process, 0, lambda: back(list), lambda: back(_lost))

            self._carry(process, 0, arrive, lambda: back(_lost))

        _job().block(begin)
        return backend

    def ask(self, backend: Backend, statement: str, given: Row) -> list[Row]:
        """Run one statement; blocks the job that asks."""

        def begin(back: Callable[[Outcome], None]) -> None:
            backend.fail = back

            def answer(outcome: Outcome) -> None:
                self._carry(backend.process, 0, lambda: back(outcome), lambda: back(_lost))

            def arrive() -> None:
                if backend.is_ended:
                    answer(_lost)
                else:
                    self._run(backend, " ".join(statement.split()), given, answer)

            self._carry(backend.process, 0, arrive, lambda: back(_lost))
            self.world.after(PATIENCE_S, lambda: back(_lost))

        found: list[Row] = _job().block(begin)
        return found

    def _carry(
        self, process: Process, tried_s: float, deliver: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        """Deliver something to or from the server; what a cut holds up is sent again until it is given up."""
        if process.name in self.cut:
            if tried_s > DETECTED_S:
                give_up()
            else:
                self.world.after(0.1, lambda: self._carry(process, tried_s + 0.1, deliver, give_up))
            return
        delay_s = self.world.chance.uniform(0.0001, 0.0005) + self.slow_s * self.world.chance.random()
        self.world.after(delay_s, deliver)

    def hang_up(self, backend: Backend) -> None:
        """Let the server hear that a client has closed its connection."""
        self._carry(backend.process, 0, lambda: self.end(backend), lambda: self.end(backend))

    # The server

    def end(self, backend: Backend) -> None:
        """End a backend: its transaction is undone, its lock free, its client hears of it when it listens."""
        if backend.is_ended:
            return
        backend.is_ended = True
        backend.pending = None
        self.backends.remove(backend)
        if self.lock is backend:
            self._unlock()
        if backend.fail is not None:
            fail = backend.fail
            self._carry(backend.process, 0, lambda: fail(_lost), lambda: fail(_lost))

    def restart(self) -> None:
        """Kill every backend, as a restart or a failover does."""
        self.world.note("database restart")
        for backend in list(self.backends):
            self.end(backend)

    def commit(self, backend: Backend, answer: Callable[[Outcome], None]) -> None:
        """End the transaction that is open by a commit."""
        if backend.pending is not None:
            self.commits(backend.pending)
            backend.pending = None
            self._unlock()
        answer(list)

    def _run(self, backend: Backend, statement: str, given: Row, answer: Callable[[Outcome], None]) -> None:
        if statement.startswith("SELECT commit_batch("):
            self._locked(backend, lambda: self._insert(backend, _journal_row(given), given[1], answer), answer)
        elif statement.startswith("INSERT INTO fence"):
            self._locked(backend, lambda: self._raise_epoch(answer), answer)
        elif statement == "COMMIT":
            self.commit(backend, answer)
        elif statement.startswith("SET application_name"):
            backend.name = given[0]
            answer(list)
        else:
            found = self._at_once(statement, given)
            answer(lambda: found)

    def _locked(self, backend: Backend, work: Callable[[], None], answer: Callable[[Outcome], None]) -> None:
        """Do something with the lock of the fence's row, as soon as it is free."""
        if backend.is_ended:
            answer(_lost)
        elif self.lock is None or self.lock is backend:
            self.lock = backend
            self.world.after(self.world.chance.uniform(0.0003, 0.003), lambda: None if backend.is_ended else work())
        else:
            self.waiting.append((backend, lambda: self._locked(backend, work, answer)))

    def _unlock(self) -> None:
        self.lock = None
        if self.waiting:
            _, begin = self.waiting.popleft()
            begin()

    def _insert(self, backend: Backend, row: JournalRow, epoch: int, answer: Callable[[Outcome], None]) -> None:
        tables = self.tables
        if self.checks_fence and (epoch, row.first_sequence) != (tables.epoch, tables.last_sequence + 1):
            self._unlock()
            answer(_fenced)
        elif backend.is_autocommit:
            self.commits(row)
            self._unlock()
            answer(list)
        else:
            backend.pending = row
            self.world.after(IDLE_S, lambda: self.end(backend) if backend.pending is row else None)
            answer(list)

    def _commit(self, row: JournalRow) -> None:
        self.world.note("commit", row.epoch, row.first_sequence, row.last_sequence, row.chain.hex())
        self.tables.add(row)

    def _raise_epoch(self, answer: Callable[[Outcome], None]) -> None:
        tables = self.tables
        tables.epoch += 1
        self.world.note("epoch", tables.epoch, tables.last_sequence)
        found = [(tables.epoch, tables.last_sequence, self.now_us())]
        self._unlock()
        answer(lambda: found)

    def _at_once(self, statement: str, given: Row) -> list[Row]:
        """Run a statement that takes no lock that is ever held."""
        for begins, run in _STATEMENTS.items():
            if statement.startswith(begins):
                return run(self, statement, given)
        raise AssertionError(f"the simulated database does not know: {statement}")

    def _win(self, _statement: str, given: Row) -> list[Row]:
        _, holder, lease_ms, _ = given
        lease = self.tables.lease
        if lease is not None and lease.holder != holder and lease.expires >= self.now_us() and self._is_kept(lease):
            return []
        self.world.note("win", holder)
        self.tables.lease = Lease(holder, "", self.now_us() + lease_ms * 1000)
        return [(1,)]

    def _is_kept(self, lease: Lease) -> bool:
        """Tell whether the holder's keeper is connected."""
        return any(backend.name == f"keeper/{CELL}/{lease.holder}" for backend in self.backends)

    def _announce(self, _statement: str, given: Row) -> list[Row]:
        endpoint, _, lease_ms, cell, holder = given
        if self.tables.lease is not None and self.tables.lease.holder == holder:
            self.tables.lease.endpoint = endpoint
        return self._renew("", (lease_ms, cell, holder))

    def _is_current(self, _statement: str, given: Row) -> list[Row]:
        return [(1,)] if self.tables.epoch == given[1] else []

    def _renew(self, _statement: str, given: Row) -> list[Row]:
        lease_ms, _, holder = given
        lease = self.tables.lease
        if lease is None or lease.holder != holder:
            return []
        lease.expires = self.now_us() + lease_ms * 1000
        return [(1,)]

    def _release(self, _statement: str, given: Row) -> list[Row]:
        lease = self.tables.lease
        if lease is not None and lease.holder == given[1]:
            lease.expires = self.now_us() - 1
        return []

    def _standing(self, _statement: str, _given: Row) -> list[Row]:
        lease = self.tables.lease
        if lease is None:
            return []
        return [(lease.holder, lease.endpoint, (lease.expires - self.now_us()) // 1000, self._is_kept(lease))]

    def _terminate(self, _statement: str, given: Row) -> list[Row]:
        prefix = given[0].rstrip("%")
        ended = [backend for backend in self.backends if backend.name.startswith(prefix)]
        for backend in ended:
            self.end(backend)
        return [(True,) for _ in ended]

    def _batch_at(self, _statement: str, given: Row) -> list[Row]:
        return [(row.batch_id,) for row in self.tables.journal if row.first_sequence == given[1]]

    def _journal(self, statement: str, given: Row) -> list[Row]:
        """Return rows after a sequence, or the one that holds it."""
        journal = self.tables.journal
        if "first_sequence > %s" in statement:
            found = [row for row in journal if row.first_sequence > given[1]][: given[2]]
        else:
            found = [row for row in journal if row.first_sequence <= given[1]][-1:]
        return [tuple(getattr(row, name) for name in JournalRow.__struct_fields__) for row in found]

    def _known(self, _statement: str, given: Row) -> list[Row]:
        wanted = given[0].strip("{}").split(",")
        placed = self.tables.placed
        return [(order_id, placed[order_id][1]) for order_id in wanted if order_id in placed]

    def _order(self, _statement: str, given: Row) -> list[Row]:
        row = self.tables.order_row(given[0])
        if row is None or (len(given) > 1 and row[1] != given[1]):
            return []
        return [row]

    def _fills(self, _statement: str, given: Row) -> list[Row]:
        return self.tables.fills.get((given[2], given[1]), [])[: given[3]]

    def _nothing(self, _statement: str, _given: Row) -> list[Row]:
        return []


_STATEMENTS: dict[str, Callable[[Database, str, Row], list[Row]]] = {
    "INSERT INTO lease": Database._win,
    "UPDATE lease SET expires = clock_timestamp() + ": Database._renew,
    "UPDATE lease SET endpoint": Database._announce,
    "SELECT 1 FROM fence": Database._is_current,
    "WITH released AS": Database._release,
    "SELECT holder, endpoint, (extract": Database._standing,
    "SELECT pg_terminate_backend": Database._terminate,
    "SELECT batch_id::text FROM journal": Database._batch_at,
    "SELECT first_sequence, last_sequence, batch_id": Database._journal,
    "EXECUTE known_orders": Database._known,
    "SELECT order_id, account_id, client_order_id": Database._order,
    "SELECT cell, sequence, index, order_id": Database._fills,
    "PREPARE known_orders": Database._nothing,
    "SELECT ensure_partitions": Database._nothing,
}


def _journal_row(given: Row) -> JournalRow:
    cell, epoch, first, last, batch_id, version, rules, time, commands, events, chain, state_hash = given[:12]
    assert cell == CELL, cell
    return JournalRow(
        first_sequence=first,
        last_sequence=last,
        batch_id=batch_id,
        epoch=epoch,
        version=version,
        rules_version=rules,
        last_time=time,
        commands_json=commands,
        events_json=events,
        chain=chain,
        state_hash=state_hash,
    )


def _lost() -> list[Row]:
    raise psycopg2.OperationalError("server closed the connection unexpectedly")


def _fenced() -> list[Row]:
    raise FencedError("the batch does not follow the fence")


def _job() -> Job:
    assert Process.job is not None, "a statement is sent by blocking code"
    return Process.job
