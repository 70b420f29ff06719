"""Lists of an account that several cells know: cells count their sequences each for itself."""

from contextlib import closing

import psycopg2

from exchange.stores import accounts
from exchange.stores.database import Database
from tests.servers import postgres


def test_entries_of_two_cells_at_one_sequence_are_each_read_once() -> None:
    url = postgres()
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for cell in (1, 2):
            cursor.execute("INSERT INTO assets VALUES (%s, 'USD', 2, 1)", (cell,))
            cursor.execute("INSERT INTO ledger VALUES (%s, 7, 0, 0, 'a', 'USD', 1, 'deposit', 'r', 1, 0)", (cell,))

    with closing(Database(url)) as database:
        [(place, newer)] = accounts.ledger(database, "a", None, None, 1)
        older = accounts.ledger(database, "a", None, place, 2)

    assert (newer["entry_id"], [entry["entry_id"] for _, entry in older]) == ("2-7-0-0", ["1-7-0-0"])
