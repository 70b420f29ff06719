"""The one connection of an environment: it is replaced when it dies, and no wait of it is without a bound."""

import socket
import time
from collections.abc import Iterator

import pytest

from exchange.stores.database import PAUSE_S, Database, DatabaseAway
from tests.servers import postgres


@pytest.fixture(scope="module")
def url() -> str:
    return postgres()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    yield made
    made.close()


def test_rows_come_back_with_exact_numbers(database: Database) -> None:
    [(whole, exact, text, nothing)] = database.rows(
        "SELECT %s::bigint, 0.1::numeric + %s::numeric, %s, NULL", 7, "0.2", "é"
    )

    assert (whole, str(exact), text, nothing) == (7, "0.3", "é", None)


def test_a_connection_is_kept(database: Database) -> None:
    assert database.rows("SELECT pg_backend_pid()") == database.rows("SELECT pg_backend_pid()")


def test_a_connection_that_was_terminated_is_replaced_unnoticed(url: str, database: Database) -> None:
    [(backend,)] = database.rows("SELECT pg_backend_pid()")
    other = Database(url)
    other.rows("SELECT pg_terminate_backend(%s, 5000)", backend)
    other.close()

    assert database.rows("SELECT 1") == [(1,)]


def test_a_statement_that_is_wrong_is_a_bug_and_not_an_absence(database: Database) -> None:
    with pytest.raises(Exception, match="syntax error"):
        database.rows("SELEC 1")
    assert database.rows("SELECT 1") == [(1,)]


def test_a_statement_that_takes_too_long_is_given_up(url: str) -> None:
    database = Database(url, statement_timeout_s=0.1)
    started = time.monotonic()

    with pytest.raises(DatabaseAway) as raised:
        database.rows("SELECT pg_sleep(5)")

    assert time.monotonic() - started < 2
    assert raised.value.execution == "none"
    assert database.rows("SELECT 1") == [(1,)]
    database.close()


def test_a_server_that_is_gone_is_told_at_once_and_tried_again_after_a_pause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    now = [100.0]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/exchange", clock=lambda: now[0])

    with pytest.raises(DatabaseAway) as first:
        database.rows("SELECT 1")
    with pytest.raises(DatabaseAway) as soon:
        database.rows("SELECT 1")
    now[0] += PAUSE_S
    with pytest.raises(DatabaseAway) as later:
        database.rows("SELECT 1")

    assert ["refused" in error.value.cause for error in (first, soon, later)] == [True, False, True]


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(f"postgresql://nobody@127.0.0.1:{port}/exchange", connect_timeout_s=0.1)

        with pytest.raises(DatabaseAway):
            database.rows("SELECT 1")
