"""What follows the journal in a running system: archive, stream and index, after trades and after deaths."""

from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest

from client.sdk import Client, Document
from client.signing import Key
from exchange import search
from exchange.archive import ArchiveLine
from tests.checkers.database import check_all
from tests.checkers.replay import check_replay
from tests.checkers.stores import archive_lines, check_copies
from tests.e2e.system import System
from tests.until import until

VISIBLE_S = 30.0
"""Far beyond the budget of 5 s: a test must hold on a busy machine, too."""
QUIET_S = 60.0


@dataclass(frozen=True, slots=True)
class Stores:
    """The running system's stores, as a checker reaches them."""

    system: System

    def session(self) -> boto3.Session:
        variables = self.system.variables
        return boto3.Session(
            variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
        )

    def archived(self) -> dict[tuple[int, int, int], ArchiveLine]:
        s3 = self.session().client("s3", endpoint_url=self.system.variables["AWS_ENDPOINT_URL"])
        lines = archive_lines(s3, self.system.variables["ARCHIVE_BUCKET"])
        return {(line.cell, line.sequence, line.index): line for line in lines}

    @property
    def dsn(self) -> str:
        variables = self.system.variables
        return variables["DATABASE_URL"].replace("@", f":{variables['DATABASE_PASSWORD']}@", 1)

    def problems(self) -> list[str]:
        variables = self.system.variables
        endpoint = variables["AWS_ENDPOINT_URL"]
        kinesis = self.session().client("kinesis", endpoint_url=endpoint)
        s3 = self.session().client("s3", endpoint_url=endpoint)
        index = search.client(variables["SEARCH_URL"])
        return check_copies(self.dsn, kinesis, variables["EXECUTIONS_STREAM"], s3, variables["ARCHIVE_BUCKET"], index)


@pytest.fixture
def stores(exchange: System) -> Stores:
    return Stores(exchange)


def client(system: System, name: str) -> Client:
    account = system.credentials["accounts"][name]
    return Client(system.base_url, Key(account["api_key"], account["secret"]), deadline_s=60)


@pytest.fixture
def traders(exchange: System) -> Iterator[tuple[Client, Client]]:
    with client(exchange, "alice") as alice, client(exchange, "bob") as bob:
        yield alice, bob


def an_order(side: str, symbol: str = "BTC-USD") -> Document:
    return {"symbol": symbol, "side": side, "type": "limit", "price": "20000.00", "quantity": "0.001"}


def test_a_trade_is_archived_and_found_soon_after(
    exchange: System, stores: Stores, traders: tuple[Client, Client]
) -> None:
    seller, buyer = traders
    fills = [*seller.place(an_order("sell"))["fills"], *buyer.place(an_order("buy"))["fills"]]
    trade_id = fills[0]["trade_id"]

    def is_found() -> bool:
        with client(exchange, "admin") as admin:
            found = admin.call("GET", "/v1/admin/search/trades", {"symbol": "BTC-USD", "limit": "5"})["data"]
        return trade_id in [trade["trade_id"] for trade in found]

    place = tuple(int(part) for part in trade_id.split("-"))
    assert until(lambda: place in stores.archived() and is_found(), VISIBLE_S)


def test_the_trace_of_a_request_goes_with_its_command_into_the_archive(
    stores: Stores, traders: tuple[Client, Client]
) -> None:
    first, second = (trader.place(an_order("buy"))["order"]["sequence"] for trader in traders)
    places = {(1, first, 0), (1, second, 0)}

    assert until(lambda: places <= stores.archived().keys(), VISIBLE_S)
    archived = stores.archived()
    traces = {archived[place].trace for place in places}
    assert len(traces) == 2
    assert all(trace.startswith("Root=1-") for trace in traces)


def test_after_deaths_under_load_the_copies_hold_exactly_the_journal(
    exchange: System, stores: Stores, traders: tuple[Client, Client]
) -> None:
    for name in ("matching_service", "event_sources", "matching_service"):
        for number in range(40):
            if number == 20:
                exchange.kill(name)
            for trader, side in zip(traders, ("sell", "buy"), strict=True):
                trader.place(an_order(side, ("BTC-USD", "ETH-USD")[number % 2]))
        exchange.line(f"{name} serves again")

    assert check_all(stores.dsn) + check_replay(stores.dsn) == []
    assert until(lambda: not stores.problems(), QUIET_S), stores.problems()[:5]


def test_an_index_that_died_is_filled_again_from_the_journal(exchange: System, stores: Stores) -> None:
    exchange.kill("osmem")
    exchange.line("osmem serves again")

    assert until(lambda: not stores.problems(), QUIET_S), stores.problems()[:5]
