"""Who leads, by the copy in a real Redis and by the lease row of a real database."""

import json
from collections.abc import Iterator

import pytest

from exchange.gateway_client import Leader
from exchange.stores.cache import Cache
from exchange.stores.database import Database
from exchange.stores.leaders import LeaderDirectory
from matching_service.database import opened, rows
from tests.servers import postgres, valkey, valkey_cluster

FORMER, PRESENT = Leader("10.0.0.1", 7000, "aa"), Leader("10.0.0.2", 7000, "bb")


class Places:
    """Redis names the former leader, the lease row whom the test says."""

    def __init__(self, redis_url: str) -> None:
        self.database_url = postgres()
        self.cache, self.database = Cache(redis_url, 1.0), Database(self.database_url, "")
        former = json.dumps({"endpoint": "10.0.0.1:7000", "certificate": "aa"})
        self.cache.call("{1}:leader", "SET", "{1}:leader", former)
        self.directory = LeaderDirectory(self.cache, self.database, 1)

    def lease(self, milliseconds: int) -> None:
        with opened(self.database_url, "", "test") as connection:
            rows(
                connection,
                "INSERT INTO lease VALUES (1, 'h', '10.0.0.2:7000', 'bb',"
                " clock_timestamp() + %s * interval '1 millisecond')",
                (milliseconds,),
            )


@pytest.fixture(params=["a server", "a cluster"])
def places(request: pytest.FixtureRequest) -> Iterator[Places]:
    made = Places(valkey() if request.param == "a server" else valkey_cluster())
    yield made
    made.cache.close()
    made.database.close()


def test_redis_is_asked_first_and_the_lease_row_after_a_failure(places: Places) -> None:
    places.lease(60_000)

    assert places.directory.leader(after_failure=False) == FORMER
    assert places.directory.leader(after_failure=True) == PRESENT


def test_after_a_failure_nobody_leads_where_the_lease_has_ended(places: Places) -> None:
    places.lease(-1)

    assert places.directory.leader(after_failure=True) is None
