"""Lists a page at a time: limits, cursors and the bound of an answer."""

import base64
import json

import pytest

from exchange.errors import Rejected
from exchange.pages import (
    choice_of,
    cursor_place,
    cursor_text,
    limit_of,
    named_cursor_place,
    number_of,
    page,
    page_of_texts,
    query_of,
)
from exchange.symbols import ORDER_ID


def encoded(raw: str) -> str:
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


@pytest.mark.parametrize(("query", "limit"), [({}, 100), ({"limit": "1"}, 1), ({"limit": "500"}, 500)])
def test_a_limit_is_1_to_500_and_100_where_nothing_is_said(query: dict[str, str], limit: int) -> None:
    assert limit_of(query) == limit


@pytest.mark.parametrize("text", ["", "0", "-1", "501", "1.0", "01", "+1", " 1", "1e2", "٣", "a", "9" * 30, "1\n"])
def test_another_limit_is_a_bad_query(text: str) -> None:
    with pytest.raises(Rejected) as raised:
        limit_of({"limit": text})

    assert (raised.value.status, raised.value.code) == (400, "request.invalid")
    assert [field for field, _ in raised.value.fields] == ["limit"]


def test_a_number_has_its_own_bound() -> None:
    assert number_of({"depth": "1000"}, "depth", 50, 1000) == 1000
    with pytest.raises(Rejected):
        number_of({"depth": "1001"}, "depth", 50, 1000)


def test_a_cursor_leads_back_to_its_place() -> None:
    assert cursor_place({"cursor": cursor_text("fills", 17, 2)}, "fills", 2) == (17, 2)
    assert cursor_place({}, "fills", 2) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "====", "!!!!", "é", "a" * 5000, cursor_text("orders", 17), cursor_text("fills", 17),
        cursor_text("fills", 1, 2, 3), encoded("fills.1.-2"), encoded("fills.1.+2"), encoded("fills.01.2"),
        encoded("fills.1.2.") , encoded("fills.1.a"), encoded("fills.1. 2"), encoded("fills.1_0.2"), encoded("fills"),
        encoded(f"fills.{2**63}.1"), cursor_text("fills", 17, 2) + "=", cursor_text("fills", 17, 2) + " ",
        encoded("fills.1.٣"), encoded("fills." + "9" * 5000 + ".1"), cursor_text("fills", 17, 2)[:-1],
    ],
)  # fmt: skip
def test_a_cursor_that_was_never_given_is_a_bad_query(cursor: str) -> None:
    with pytest.raises(Rejected) as raised:
        cursor_place({"cursor": cursor}, "fills", 2)

    assert (raised.value.status, [field for field, _ in raised.value.fields]) == (400, ["cursor"])


ORDER = f"1-{'a' * 26}"


def test_a_cursor_leads_back_to_a_place_with_a_name() -> None:
    cursor = cursor_text("fills", 17, 2, ORDER)

    assert named_cursor_place({"cursor": cursor}, "fills", 2, ORDER_ID) == (17, 2, ORDER)
    assert named_cursor_place({}, "fills", 2, ORDER_ID) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "", encoded("fills"), cursor_text("fills", 17, 2), cursor_text("fills", 17, ORDER),
        cursor_text("fills", 17, ORDER, 2), cursor_text("fills", 17, 2, 3), cursor_text("fills", 17, 2, ORDER[:-1]),
        cursor_text("fills", 17, 2, ORDER.upper()), cursor_text("fills", 17, 2, ORDER, 4),
        cursor_text("orders", 17, 2, ORDER), cursor_text("fills", 2**63, 2, ORDER), encoded(f"fills.17.02.{ORDER}"),
        encoded(f"fills.17.2.{ORDER}\n"), cursor_text("fills", 17, 2, ORDER) + "=",
    ],
)  # fmt: skip
def test_a_cursor_with_another_name_or_none_is_a_bad_query(cursor: str) -> None:
    with pytest.raises(Rejected) as raised:
        named_cursor_place({"cursor": cursor}, "fills", 2, ORDER_ID)

    assert (raised.value.status, [field for field, _ in raised.value.fields]) == (400, ["cursor"])


def test_a_page_that_is_not_the_last_has_the_cursor_of_its_last_entry() -> None:
    body = json.loads(page([{"n": 3}, {"n": 2}, {"n": 1}], [(3,), (2,), (1,)], "orders", 2))

    assert body == {"data": [{"n": 3}, {"n": 2}], "next_cursor": cursor_text("orders", 2)}


def test_the_last_page_has_none() -> None:
    assert json.loads(page([{"n": 1}], [(1,)], "orders", 1)) == {"data": [{"n": 1}], "next_cursor": None}
    assert json.loads(page([], [], "orders", 1)) == {"data": [], "next_cursor": None}


def test_a_page_ends_before_it_exceeds_900_000_bytes() -> None:
    documents = [{"n": number, "text": "é" * 4000} for number in range(300)]

    text = page(documents, [(number,) for number in range(300)], "orders", 300)

    body = json.loads(text)
    assert len(text.encode()) <= 900_000
    assert 110 <= len(body["data"]) <= 112
    assert body["next_cursor"] == cursor_text("orders", len(body["data"]) - 1)


def test_ready_made_texts_are_joined_as_they_are() -> None:
    assert page_of_texts(['{"a": 1}'], [(7,)], "trades", is_last=False) == (
        f'{{"data":[{{"a": 1}}],"next_cursor":"{cursor_text("trades", 7)}"}}'
    )


def test_a_query_may_have_only_the_names_that_a_call_knows() -> None:
    assert query_of({"a": "1"}, "a", "b") == {"a": "1"}
    with pytest.raises(Rejected) as raised:
        query_of({"a": "1", "c": "2"}, "a", "b")

    assert (raised.value.status, [field for field, _ in raised.value.fields]) == (400, ["c"])


def test_a_choice_is_one_of_its_words() -> None:
    assert choice_of({"side": "buy"}, "side", ("buy", "sell")) == "buy"
    with pytest.raises(Rejected):
        choice_of({"side": "Buy"}, "side", ("buy", "sell"))
