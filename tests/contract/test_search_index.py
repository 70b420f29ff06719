"""The indexer and the searches against a real search server, with its faults."""

import json
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth

from exchange import search
from exchange.deliveries import deliveries
from exchange.errors import Rejected, Unavailable
from exchange.indexing import Indexed, index
from exchange.stream import StreamRecord
from exchange.times import time_text
from functions.indexer import app
from tests.executions import MICROSECONDS_PER_HOUR, TIME, Document, a_record, a_trade, an_order, kinesis_event
from tests.faulty_proxy import LoseReply, Reply, faulty_proxy
from tests.search_server import search_server

TOO_MANY = Reply(429, b'{"error":{"type":"rejected_execution_exception"},"status":429}')


@pytest.fixture
def url() -> Iterator[str]:
    with search_server() as server:
        yield server


def taken(url: str, *records: StreamRecord | bytes, pauses: list[float] | None = None) -> Indexed:
    return index(search.client(url), deliveries(kinesis_event(*records)), (pauses if pauses is not None else []).append)


def of_orders(*orders: Document, timeline: int = 1) -> StreamRecord:
    return a_record(orders=list(orders), timeline=timeline)


def of_trades(*trades: Document) -> StreamRecord:
    return a_record(trades=list(trades))


def refreshed(url: str) -> OpenSearch:
    client = search.client(url)
    client.indices.refresh(index="_all")
    return client


def orders(url: str, **filters: str) -> list[Document]:
    named = {name.rstrip("_"): value for name, value in filters.items()}
    return search.search_orders(refreshed(url), named, 500, None).documents


def order_ids(url: str, **filters: str) -> list[str]:
    return [order["order_id"] for order in orders(url, **filters)]


def trade_ids(url: str, **filters: str) -> list[str]:
    named = {name.rstrip("_"): value for name, value in filters.items()}
    return [trade["trade_id"] for trade in search.search_trades(refreshed(url), named, 500, None).documents]


def partial_failure(*statuses: int) -> Reply:
    error = {"type": "t", "reason": "r"}
    items = [{"index": {"status": status, "error": error}} for status in statuses]
    return Reply(200, json.dumps({"errors": True, "items": items}).encode())


def sent_ids(body: bytes) -> list[str]:
    actions = [json.loads(line) for line in body.splitlines()[::2]]
    return [action["index"]["_id"] for action in actions]


def test_documents_are_found_as_they_were_indexed(url: str) -> None:
    order, trade = an_order("a", 10), a_trade(10)

    outcome = taken(url, a_record(orders=[order], trades=[trade]))

    assert outcome == Indexed(2, {})
    assert orders(url) == [order]
    assert search.search_trades(refreshed(url), {}, 500, None).documents == [trade]


def test_a_document_delivered_twice_changes_nothing(url: str) -> None:
    record = a_record(orders=[an_order("a", 10)], trades=[a_trade(10)])

    outcomes = [taken(url, record), taken(url, record)]

    assert outcomes == [Indexed(2, {}), Indexed(2, {})]
    assert order_ids(url) == ["1-a"]


def test_an_older_version_that_comes_late_is_ignored(url: str) -> None:
    taken(url, of_orders(an_order("a", 12, status="filled")))
    taken(url, of_orders(an_order("a", 10, status="new")))

    assert [order["status"] for order in orders(url)] == ["filled"]


def test_a_later_timeline_wins_over_a_later_sequence(url: str) -> None:
    taken(url, of_orders(an_order("a", 900, status="filled")))
    taken(url, of_orders(an_order("a", 20, status="canceled"), timeline=2))

    assert [order["status"] for order in orders(url)] == ["canceled"]


def test_the_newest_of_several_versions_in_one_batch_is_kept(url: str) -> None:
    taken(url, of_orders(an_order("a", 11, status="filled")), of_orders(an_order("a", 10)))

    assert [order["status"] for order in orders(url)] == ["filled"]


def test_only_the_items_that_failed_are_sent_again(url: str) -> None:
    pauses: list[float] = []
    record = of_orders(an_order("a", 10), an_order("b", 10), an_order("c", 10))
    with faulty_proxy(url, "POST", "_bulk") as proxy:
        proxy.faults.append(partial_failure(201, 429, 503))

        outcome = taken(proxy.url, record, pauses=pauses)

    assert outcome == Indexed(3, {})
    assert [sent_ids(body) for body in proxy.requests] == [["1-a", "1-b", "1-c"], ["1-b", "1-c"]]
    assert pauses == [0.2]


def test_records_whose_items_fail_to_the_end_are_delivered_again(url: str) -> None:
    with faulty_proxy(url, "POST", "_bulk") as proxy:
        proxy.faults.extend([partial_failure(201, 429), partial_failure(429), partial_failure(429)])

        outcome = taken(proxy.url, of_orders(an_order("a", 10)), of_orders(an_order("b", 11)))

    assert outcome == Indexed(2, {"1001": "429 t: r"})


def test_a_server_that_asks_for_patience_fails_the_batch_and_loses_nothing(url: str) -> None:
    with faulty_proxy(url, "POST", "_bulk") as proxy:
        proxy.faults.extend([TOO_MANY] * 3)

        outcome = taken(proxy.url, of_orders(an_order("a", 10)), of_orders(an_order("b", 11)))

    assert list(outcome.failed) == ["1000", "1001"]
    assert all(reason.startswith("429") for reason in outcome.failed.values())


def test_a_server_that_is_away_is_asked_once_a_round_however_much_there_is_to_index() -> None:
    pauses: list[float] = []
    record = of_orders(*(an_order(str(number), 10) for number in range(2_500)))

    outcome = taken("http://127.0.0.1:1", record, pauses=pauses)

    assert list(outcome.failed) == ["1000"]
    assert pauses == [0.2, 0.5]


def test_a_reply_that_was_lost_does_no_harm(url: str) -> None:
    with faulty_proxy(url, "POST", "_bulk") as proxy:
        proxy.faults.append(LoseReply())

        outcome = taken(proxy.url, of_orders(an_order("a", 10)))

    assert outcome == Indexed(1, {})
    assert order_ids(url) == ["1-a"]


def test_a_document_that_breaks_the_mapping_fails_alone_and_at_once_with_the_reason(url: str) -> None:
    pauses: list[float] = []
    bad = of_orders(an_order("b", 11, surprise="!"))

    outcome = taken(url, of_orders(an_order("a", 10)), bad, of_orders(an_order("c", 12)), pauses=pauses)

    assert list(outcome.failed) == ["1001"]
    assert "strict_dynamic_mapping_exception" in outcome.failed["1001"]
    assert order_ids(url) == ["1-c", "1-a"]
    assert pauses == []


@pytest.mark.parametrize("bad", [{"created_time": "soon/../"}, {"created_time": None}, {"sequence": "ten"}])
def test_what_is_no_document_fails_alone(url: str, bad: Document) -> None:
    outcome = taken(url, of_orders(an_order("a", 10) | bad), of_orders(an_order("b", 11)))

    assert list(outcome.failed) == ["1000"]
    assert order_ids(url) == ["1-b"]


def test_a_poison_record_fails_alone(url: str) -> None:
    outcome = taken(url, b"{}", of_orders(an_order("a", 10)))

    assert list(outcome.failed) == ["1000"]
    assert order_ids(url) == ["1-a"]


def test_an_index_that_was_lost_is_equal_when_it_is_built_again() -> None:
    versions = [of_orders(an_order(name, 10 + n, status="new"), an_order("z", 10 + n)) for n, name in enumerate("abc")]
    records = [*versions, of_orders(an_order("a", 90, status="filled")), of_trades(a_trade(90), a_trade(90, index=4))]
    with search_server() as kept, search_server() as built_again:
        for record in records:
            taken(kept, record)

        taken(built_again, *reversed(records))

        assert (orders(kept), trade_ids(kept)) == (orders(built_again), trade_ids(built_again))


def test_an_index_lost_under_the_indexer_gets_its_mapping_back(url: str) -> None:
    taken(url, of_orders(an_order("a", 10)))
    client = search.client(url)
    client.indices.delete(index="orders-*")
    client.indices.delete_index_template(name="orders")

    outcome = taken(url, of_orders(an_order("b", 11, surprise="!")), of_orders(an_order("c", 12)))

    assert list(outcome.failed) == ["1000"]
    assert order_ids(url) == ["1-c"]


def test_an_index_of_an_earlier_build_takes_the_fields_that_have_come_since(url: str) -> None:
    client = search.client(url)
    client.indices.create(
        index="orders-2026-11",
        body={"mappings": {"dynamic": "strict", "properties": {"order_id": {"type": "keyword"}}}},
    )
    order = an_order("decremented", 1, prevented_quantity="0.50000")

    assert taken(url, of_orders(order)).failed != {}
    search.add_fields(client)

    assert taken(url, of_orders(order)).failed == {}
    assert orders(url) == [order]


def test_templates_may_be_installed_twice(url: str) -> None:
    client = search.client(url)

    search.install_templates(client)
    search.install_templates(client)

    assert client.indices.exists_index_template(name="orders")
    assert client.indices.exists_index_template(name="trades")


ORDERS = [
    an_order("old", 1, account_id="bob", symbol="ETH-USD", side="sell", status="filled", quantity="2.00000"),
    an_order("mid", 2, created_time=time_text(TIME + 1), status="canceled", reason="ioc_remainder", quantity="0.10000"),
    an_order("new", 3, created_time=time_text(TIME + MICROSECONDS_PER_HOUR), type="market", quantity=None, price=None),
]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["1-new", "1-mid", "1-old"]),
        ({"account_id": "bob"}, ["1-old"]),
        ({"symbol": "BTC-USD"}, ["1-new", "1-mid"]),
        ({"side": "sell"}, ["1-old"]),
        ({"status": "canceled"}, ["1-mid"]),
        ({"status": "open"}, ["1-new"]),
        ({"status": "closed"}, ["1-mid", "1-old"]),
        ({"from": time_text(TIME + 1)}, ["1-new", "1-mid"]),
        ({"to": time_text(TIME + 1)}, ["1-mid", "1-old"]),
        ({"to": "2026-11-22T08:34:04.123456+01:00"}, ["1-old"]),
        ({"min_quantity": "0.1"}, ["1-mid", "1-old"]),
        ({"min_quantity": "0.100000000000000001"}, ["1-old"]),
        ({"text": "ioc_remainder"}, ["1-mid"]),
        ({"text": "bot-mi"}, ["1-mid"]),
        ({"text": "market"}, ["1-new"]),
        ({"text": "nothing"}, []),
        ({"account_id": "alice", "status": "open", "side": "buy"}, ["1-new"]),
    ],
)
def test_orders_are_found_by_every_filter_newest_first(url: str, filters: dict[str, str], found: list[str]) -> None:
    taken(url, of_orders(*ORDERS))

    assert order_ids(url, **filters) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["1-30-2", "1-20-4", "1-20-2"]),
        ({"account_id": "alice"}, ["1-20-4", "1-20-2"]),
        ({"account_id": "carol"}, ["1-30-2", "1-20-4"]),
        ({"side": "sell"}, ["1-20-4"]),
        ({"min_quantity": "1"}, ["1-30-2"]),
        ({"from": time_text(TIME + 30)}, ["1-30-2"]),
        ({"text": "1-maker"}, ["1-30-2", "1-20-4", "1-20-2"]),
    ],
)
def test_trades_are_found_by_every_filter_newest_first(url: str, filters: dict[str, str], found: list[str]) -> None:
    second = a_trade(20, index=4, maker_account_id="carol", taker_side="sell")
    taken(url, of_trades(a_trade(20), second, a_trade(30, taker_account_id="carol", quantity="1.00000")))

    assert trade_ids(url, **filters) == found


def test_pages_hold_everything_once_in_order(url: str) -> None:
    taken(url, of_trades(*(a_trade(sequence, index) for sequence in range(10) for index in (1, 2))))
    client = refreshed(url)
    pages: list[list[str]] = []
    cursor: str | None = None

    while cursor is not None or not pages:
        page = search.search_trades(client, {}, 7, cursor)
        pages.append([trade["trade_id"] for trade in page.documents])
        cursor = page.next_cursor

    assert [len(page) for page in pages] == [7, 7, 6]
    assert [trade_id for page in pages for trade_id in page] == [
        f"1-{sequence}-{index}" for sequence in range(9, -1, -1) for index in (2, 1)
    ]


def test_a_page_that_ends_exactly_at_the_end_has_no_cursor(url: str) -> None:
    taken(url, of_orders(an_order("a", 1), an_order("b", 2)))

    assert search.search_orders(refreshed(url), {}, 2, None).next_cursor is None


def test_orders_are_paged_over_the_end_of_a_month(url: str) -> None:
    taken(url, of_orders(an_order("a", 1), an_order("b", 2, created_time="2026-12-01T00:00:00.000000Z")))
    client = refreshed(url)

    first = search.search_orders(client, {}, 1, None)
    second = search.search_orders(client, {}, 1, first.next_cursor)

    assert [page.documents[0]["order_id"] for page in (first, second)] == ["1-b", "1-a"]


def test_nothing_is_found_before_anything_was_indexed(url: str) -> None:
    assert search.search_orders(search.client(url), {}, 10, None) == search.Page([], None)


@pytest.mark.parametrize(
    "filters",
    [
        {"side": "up"},
        {"status": "gone"},
        {"from": "yesterday"},
        {"to": "2026-11-22"},
        {"min_quantity": "-1"},
        {"min_quantity": "1e3"},
        {"text": "x" * 201},
        {"colour": "red"},
    ],
)
def test_a_bad_filter_is_rejected_by_its_name(filters: dict[str, str]) -> None:
    with pytest.raises(Rejected) as refusal:
        search.search_orders(search.client("http://127.0.0.1:1"), filters, 10, None)

    assert (refusal.value.code, refusal.value.status) == ("request.invalid", 400)
    assert refusal.value.fields[0][0] == next(iter(filters))


def test_trades_have_no_status() -> None:
    with pytest.raises(Rejected):
        search.search_trades(search.client("http://127.0.0.1:1"), {"status": "new"}, 10, None)


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "é", "WyJ0cmFkZXMiLDEsMSwxLCJhIl0", "WyJvcmRlcnMiLC0xLCJhIl0"])
def test_a_cursor_of_another_list_or_none_at_all_is_rejected(cursor: str) -> None:
    with pytest.raises(Rejected, match="cursor"):
        search.search_orders(search.client("http://127.0.0.1:1"), {}, 10, cursor)


def test_an_index_that_is_away_is_unavailable_and_nothing_happened() -> None:
    with pytest.raises(Unavailable) as refusal:
        search.search_orders(search.client("http://127.0.0.1:1"), {}, 10, None)

    assert refusal.value.execution == "none"


def test_the_function_indexes_a_batch_and_names_the_poison_record(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_URL", url)

    answer = app.handler(kinesis_event(of_orders(an_order("a", 10)), b"poison"), None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1001"}]}
    assert order_ids(url) == ["1-a"]


@pytest.mark.parametrize(
    ("url", "is_signed"),
    [
        ("https://vpc-exchange-abc.eu-central-1.es.amazonaws.com", True),
        ("https://indexer:secret@vpc-exchange-abc.eu-central-1.es.amazonaws.com", False),
        ("http://127.0.0.1:9200", False),
        ("https://es.amazonaws.com.example.org", False),
    ],
)
def test_only_requests_to_a_domain_of_aws_without_a_user_are_signed(
    url: str, is_signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")

    connection = search.client(url).transport.get_connection()

    assert isinstance(getattr(connection, "http_auth", None), Urllib3AWSV4SignerAuth) is is_signed
