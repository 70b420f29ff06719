"""The journal, the fence and the lease on a real PostgreSQL."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from exchange.commands import CancelOrder, Command, CreateApiKey, DeleteApiKey, Transfer
from exchange.orders import Side
from matching_service import journal, lease, replica, seed
from matching_service.database import rows
from matching_service.journal import GENESIS, Fenced, Writer
from matching_service.lease import Candidate
from tests.recorder import Recorder, connected
from tests.servers import postgres
from tests.serving import limit


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(postgres())
    made.commit(*seed.commands(1, "local"))
    yield made
    made.connection.close()


def random_commands(chance: random.Random, count: int) -> Iterator[Command]:
    placed: list[tuple[str, str]] = []
    for number in range(count):
        account = chance.choice(seed.TRADERS)
        if chance.random() < 0.4 and placed:
            owner, order_id = chance.choice(placed)
            yield CancelOrder(f"x-{number}", owner, order_id)
        elif chance.random() < 0.05:
            kind = chance.choice(("deposit", "withdrawal"))
            yield Transfer(kind, seed.account_id_of(account), "USD", chance.randint(1, 10**15), f"r-{number}")
        else:
            side = chance.choice((Side.BUY, Side.SELL))
            order = limit(account, side, chance.randint(1, 50), 3000 + chance.randint(-5, 5), f"c-{number}")
            placed.append((order.account_id, order.order_id))
            yield order


def test_a_state_loaded_from_the_tables_equals_the_one_that_wrote_them(recorder: Recorder) -> None:
    chance = random.Random(7)
    recorder.commit(CreateApiKey("k", "acc_alice", "ex_1", "sealed", ("read",), ("10.0.0.0/8",)))
    recorder.commit(CreateApiKey("l", "acc_alice", "ex_2", "sealed", ("read", "trade"), ()))
    recorder.commit(DeleteApiKey("m", "ex_1"))
    commands = list(random_commands(chance, 600))
    while commands:
        size = chance.randint(1, 40)
        recorder.commit(*commands[:size])
        del commands[:size]

    loaded = replica.load(recorder.connection, 1)

    assert dict(loaded.engine.state_records()) == dict(recorder.engine.state_records())
    assert loaded.chain == recorder.chain
    assert loaded.state_hash.digest() == recorder.hash.digest()


def test_every_asset_sums_to_zero_and_every_balance_equals_its_ledger(recorder: Recorder) -> None:
    recorder.commit(*random_commands(random.Random(3), 300))

    sums = rows(recorder.connection, "SELECT asset, sum(amount) FROM ledger GROUP BY asset HAVING sum(amount) <> 0")
    differences = rows(
        recorder.connection,
        "SELECT b.account_id, b.asset FROM balances b FULL JOIN"
        " (SELECT account_id, asset, sum(amount) AS total FROM ledger GROUP BY 1, 2) l USING (account_id, asset)"
        " WHERE coalesce(b.available + b.held, 0) <> coalesce(l.total, 0)",
    )
    last_lines = rows(
        recorder.connection,
        "SELECT DISTINCT ON (l.account_id, l.asset) l.account_id, l.asset FROM ledger l JOIN balances b"
        " USING (account_id, asset) WHERE l.balance_after <> b.available + b.held AND (l.sequence, l.index, l.line) ="
        " (SELECT m.sequence, m.index, m.line FROM ledger m WHERE m.account_id = l.account_id AND m.asset = l.asset"
        "  ORDER BY m.sequence DESC, m.index DESC, m.line DESC LIMIT 1)",
    )

    assert rows(recorder.connection, "SELECT count(*) > 20 FROM fills") == [(True,)]
    assert (sums, differences, last_lines) == ([], [], [])


def test_a_batch_of_an_older_epoch_writes_nothing(recorder: Recorder) -> None:
    stale = recorder.batch(limit("alice", Side.SELL, 5, 3000))
    successor = connected(recorder.url)
    assert lease.try_win(successor, recorder.candidate)
    lease.take_over(successor, recorder.candidate)
    before = rows(successor, "SELECT count(*) FROM journal")

    with pytest.raises(Fenced):
        journal.commit(successor, stale)

    assert rows(successor, "SELECT count(*) FROM journal") == before
    assert rows(successor, "SELECT count(*) FROM orders") == [(0,)]
    successor.close()


def test_a_batch_that_does_not_follow_the_last_one_writes_nothing(recorder: Recorder) -> None:
    recorder.batch(limit("alice", Side.SELL, 5, 3000))
    after_a_gap = recorder.batch(limit("alice", Side.SELL, 5, 3000))

    with pytest.raises(Fenced):
        journal.commit(recorder.connection, after_a_gap)


class LosesItsReply(Cursor):
    """Lets the server do its work and loses the answer: what a cut-off connection looks like."""

    def execute(self, statement: Any, parameters: Any = None) -> None:
        super().execute(statement, parameters)
        self.connection.close()
        raise psycopg2.OperationalError("server closed the connection unexpectedly")


class NeverSends(Cursor):
    """Loses the connection before the server has seen anything."""

    def execute(self, statement: Any, parameters: Any = None) -> None:
        self.connection.close()
        raise psycopg2.OperationalError("could not send data to server")


def first_lost(url: str, cursor_factory: type[Cursor]) -> Callable[[], Connection]:
    connections = iter((connected(url, cursor_factory=cursor_factory),))
    return lambda: next(connections, None) or connected(url)


@pytest.mark.parametrize("fault", [LosesItsReply, NeverSends])
def test_a_batch_of_unknown_outcome_is_in_the_journal_exactly_once(recorder: Recorder, fault: type[Cursor]) -> None:
    batch = recorder.batch(limit("alice", Side.SELL, 5, 3000))
    writer = Writer(first_lost(recorder.url, fault), deadline_s=10)

    writer.commit(batch)

    found = rows(recorder.connection, "SELECT count(*) FROM journal WHERE batch_id = %s::uuid", (batch.batch_id,))
    assert found == [(1,)]
    assert rows(recorder.connection, "SELECT count(*) FROM orders") == [(1,)]
    writer.close()


def test_a_batch_of_unknown_outcome_is_fenced_when_another_has_written_in_its_place(recorder: Recorder) -> None:
    ours = recorder.batch(limit("alice", Side.SELL, 5, 3000))
    other = journal.batch_of(1, ours.epoch, GENESIS, ours.journaled, ours.events, ours.tables)
    journal.commit(recorder.connection, other)
    writer = Writer(first_lost(recorder.url, NeverSends), deadline_s=10)

    with pytest.raises(Fenced):
        writer.commit(ours)
    writer.close()


def test_of_two_candidates_one_wins_until_its_lease_ends(recorder: Recorder) -> None:
    other = Candidate(1, "second", "127.0.0.1:2", "d", 60_000)

    assert not lease.try_win(recorder.connection, other)
    assert lease.renew(recorder.connection, recorder.candidate)
    lease.release(recorder.connection, recorder.candidate)
    assert lease.try_win(recorder.connection, other)
    assert not lease.renew(recorder.connection, recorder.candidate)


def test_the_winner_terminates_the_backends_of_the_old_holder_before_it_raises_the_epoch(recorder: Recorder) -> None:
    old = connected(recorder.url, application_name=f"{recorder.candidate.application_name}/1")
    rows(old, "BEGIN")
    rows(old, "UPDATE fence SET last_sequence = last_sequence WHERE cell = 1")

    leadership = lease.take_over(recorder.connection, recorder.candidate)

    assert leadership.epoch == recorder.epoch + 1
    with pytest.raises(psycopg2.OperationalError):
        rows(old, "COMMIT")


def test_the_chain_joins_every_batch_to_the_one_before(recorder: Recorder) -> None:
    recorder.commit(limit("alice", Side.SELL, 5, 3000))
    recorder.commit(limit("bob", Side.BUY, 5, 3000))

    found = journal.rows_after(recorder.connection, 1, 0, 100)

    chain = GENESIS
    for row in found:
        chain = journal.chain_after(chain, row.commands_json.encode(), row.events_json.encode())
        assert row.chain == chain
    assert [row.first_sequence for row in found[1:]] == [row.last_sequence + 1 for row in found[:-1]]
