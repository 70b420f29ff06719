"""How long a key is trusted: three seconds, after which it is read anew or not trusted at all."""

import pytest

from exchange import sealing
from exchange.errors import Unavailable
from exchange.keys import KeyRing
from exchange.stores.api_keys import ApiKey
from exchange.stores.database import DatabaseAway

KEY_ENCRYPTION_KEY = "cd" * 32


class Table:
    """The table of keys, its clock, and how often it was asked."""

    def __init__(self) -> None:
        self.rows: dict[str, ApiKey] = {}
        self.is_away = False
        self.asked = 0
        self.now = 1000.0

    def insert(self, name: str, deleted: bool = False) -> None:
        sealed = sealing.seal(KEY_ENCRYPTION_KEY, name, f"secret of {name}")
        self.rows[name] = ApiKey(name, "acc_1", sealed, ("read",), (), deleted)

    def load(self, name: str) -> ApiKey | None:
        self.asked += 1
        if self.is_away:
            raise DatabaseAway("away")
        return self.rows.get(name)

    def ring(self) -> KeyRing:
        return KeyRing(self.load, KEY_ENCRYPTION_KEY, lambda: self.now)


def test_a_key_is_opened_and_kept_for_three_seconds() -> None:
    table = Table()
    table.insert("ex_1")
    ring = table.ring()

    first = ring.key("ex_1")
    table.now += 2.9
    second = ring.key("ex_1")

    assert first is not None and first.secret == "secret of ex_1"
    assert (second, table.asked) == (first, 1)


def test_a_deletion_holds_after_three_seconds() -> None:
    table = Table()
    table.insert("ex_1")
    ring = table.ring()
    ring.key("ex_1")

    table.insert("ex_1", deleted=True)
    table.now += 3.0
    key = ring.key("ex_1")

    assert key is not None and key.deleted


def test_a_key_that_was_met_is_trusted_no_longer_because_the_database_is_away() -> None:
    table = Table()
    table.insert("ex_1")
    ring = table.ring()
    first = ring.key("ex_1")
    table.is_away = True

    table.now += 2.9
    assert ring.key("ex_1") == first
    table.now += 0.1
    with pytest.raises(Unavailable) as raised:
        ring.key("ex_1")

    assert raised.value.execution == "none"


def test_a_key_that_was_not_met_is_unavailable_while_the_database_is_away() -> None:
    table = Table()
    table.is_away = True

    with pytest.raises(Unavailable):
        table.ring().key("ex_1")


def test_an_unknown_key_is_not_looked_up_again_at_once() -> None:
    table = Table()
    ring = table.ring()

    assert [ring.key("ex_1") for _ in range(5)] == [None] * 5
    assert table.asked == 1


def test_a_new_key_serves_soon_after_it_was_asked_for_too_early() -> None:
    table = Table()
    ring = table.ring()
    ring.key("ex_1")

    table.insert("ex_1")
    table.now += 0.5

    assert ring.key("ex_1") is not None


def test_the_number_of_keys_kept_is_bounded() -> None:
    table = Table()
    ring = table.ring()

    for number in range(10_050):
        ring.key(f"unknown-{number}")
    table.asked = 0
    ring.key("unknown-10049")
    ring.key("unknown-0")

    assert table.asked == 1
