"""A command that cannot be applied: it alone is refused, and everyone else goes on."""

from dataclasses import replace

from exchange.orders import Side
from matching_service import seed
from matching_service.database import connect, rows
from tests.servers import postgres, valkey
from tests.serving import CELL, limit, seeded, serving, settings, submitted

SEEDED = len(seed.commands(CELL, "local"))


def test_a_command_that_raises_is_journaled_as_poisoned_and_refused_and_the_next_is_taken() -> None:
    given = replace(settings(postgres(), valkey()), failpoint=f"before_apply:{SEEDED + 2}:raise")
    with serving(given) as client:
        seeded(client)
        submitted(client, limit("alice", Side.BUY, 5, 3_000_000))

        (refused,) = submitted(client, limit("alice", Side.BUY, 5, 3_000_000, "poison"))
        (next_one,) = submitted(client, limit("alice", Side.BUY, 5, 3_000_000))

    assert (refused.code, refused.sequence) == ("engine.refused", SEEDED + 2)
    assert (next_one.code, next_one.sequence) == (None, SEEDED + 3)
    connection = connect(given.database_url, given.database_password, "test")
    assert rows(connection, "SELECT epoch, last_sequence FROM fence") == [(1, SEEDED + 3)]
    connection.close()
