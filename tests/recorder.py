"""An engine whose batches go into a real database, as a leader's do; it answers nobody."""

from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from exchange.commands import AdvanceTime, Command, Journaled
from matching_service import journal, lease, replica
from matching_service.database import rows
from matching_service.engine import Engine
from matching_service.journal import GENESIS, Batch
from matching_service.lease import Candidate
from matching_service.tables import RowWriter

TIME = 1_763_797_044_000_000


class Recorder:
    """An engine whose batches go into a real database under a lease."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.candidate = Candidate(1, "first", "127.0.0.1:1", "c", 60_000)
        self.connection = connected(url, application_name=self.candidate.keeper_name)
        assert lease.try_win(self.connection, self.candidate)
        self.epoch = lease.take_over(self.connection, self.candidate).epoch
        rows(self.connection, "SELECT ensure_partitions(0)")
        self.engine = Engine(1)
        self.hash = self.engine.state_hash()
        self.rows = RowWriter(self.engine.market, self.engine.asset)
        self.chain = GENESIS
        self.time = TIME

    def batch(self, *commands: Command) -> Batch:
        """Apply what the engine lets pass, with time going on first where a timer is due."""
        journaled, events = [], []
        self.time += 1
        timer = self.engine.next_timer()
        due: tuple[Command, ...] = (AdvanceTime(),) if timer is not None and timer <= self.time else ()
        for command in due + commands:
            if self.engine.examine(command) is not None:
                continue
            events.append(self.engine.apply(command, self.time))
            journaled.append(Journaled(self.engine.sequence, self.time, command))
        changes = self.engine.take_changes()
        self.engine.assert_sound(changes)
        written = self.rows.rows_of(journaled, events, changes)
        self.hash.update(journaled, changes)
        return journal.batch_of(1, self.epoch, self.chain, journaled, events, written)

    def commit(self, *commands: Command) -> Batch:
        """Commit a batch."""
        batch = self.batch(*commands)
        journal.commit(self.connection, batch)
        self.chain = batch.chain
        return batch

    def reload(self) -> None:
        """Go on with what the tables hold, as the next leader does."""
        loaded = replica.load(self.connection, 1)
        self.engine, self.hash, self.chain = loaded.engine, loaded.state_hash, loaded.chain
        self.rows = RowWriter(self.engine.market, self.engine.asset)


def connected(url: str, **options: Any) -> Connection:
    connection: Connection = psycopg2.connect(url, **options)
    connection.autocommit = True
    return connection
