"""A database of schema 2 with what its build wrote: taken on by this build, and still written by that one."""

import json

import pytest

from exchange.commands import CancelOrder, Command
from exchange.orders import Side
from matching_service import migrations, replica, seed
from matching_service.database import rows
from matching_service.journal import Batch
from tests.recorder import Recorder, connected
from tests.servers import empty_database
from tests.serving import limit

OF_SCHEMA_2 = (
    "SELECT commit_batch(%s, %s, %s, %s, %s::uuid, 1::smallint, 1::smallint, %s, %s, %s, %s, %s,"
    " %s::new_order[], %s::changed_order[], '{}'::new_trade[], %s::changed_balance[], %s::json)"
)
RARE = ("assets", "accounts", "api_keys", "markets", "transfers", "transferred")


class Earlier(Recorder):
    """The build of schema 2: the same batches, those without trades, by the function that its migrations made."""

    def commit(self, *commands: Command) -> Batch:
        batch = self.batch(*commands)
        tables = batch.tables
        rare = None if tables.rare is None else json.dumps({name: [] for name in RARE} | json.loads(tables.rare))
        values = (
            1, self.epoch, batch.first_sequence, batch.last_sequence, batch.batch_id, batch.journaled[-1].time,
            batch.commands_json.decode(), batch.events_json.decode(), batch.chain, None,
            tables.entered_orders, tables.changed_orders, tables.balances, rare,
        )  # fmt: skip
        rows(self.connection, OF_SCHEMA_2, values)
        rows(self.connection, "UPDATE orders SET priority_sequence = first_sequence")
        self.chain = batch.chain
        return batch


@pytest.fixture
def url() -> str:
    """The URL of a database of schema 2."""
    made = empty_database()
    connection = connected(made)
    rows(connection, "CREATE TABLE schema_migrations (number integer PRIMARY KEY, applied timestamptz NOT NULL)")
    for number, text in migrations.numbered()[:2]:
        rows(
            connection, f"BEGIN;\n{text}\n; INSERT INTO schema_migrations VALUES ({number}, clock_timestamp()); COMMIT"
        )
    connection.close()
    return made


def test_what_a_build_of_schema_2_wrote_is_the_state_of_this_one(url: str) -> None:
    earlier = Earlier(url)
    earlier.commit(*seed.commands(1, "local"))
    sold = limit("alice", Side.SELL, 5, 3000, "a")
    earlier.commit(sold, limit("bob", Side.BUY, 5, 2990, "b"))

    migrations.migrate(earlier.connection)
    loaded = replica.load(earlier.connection, 1)

    assert dict(loaded.engine.state_records()) == dict(earlier.engine.state_records())
    earlier.connection.close()


def test_a_build_of_schema_2_goes_on_leading_after_the_migration(url: str) -> None:
    earlier = Earlier(url)
    earlier.commit(*seed.commands(1, "local"))
    migrations.migrate(earlier.connection)
    sold = limit("alice", Side.SELL, 5, 3000, "a")

    earlier.commit(sold, limit("bob", Side.BUY, 5, 2990, "b"))
    earlier.commit(CancelOrder("x-1", "acc_alice", sold.order_id))

    loaded = replica.load(earlier.connection, 1)
    assert dict(loaded.engine.state_records()) == dict(earlier.engine.state_records())
    earlier.connection.close()
