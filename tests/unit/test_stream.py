"""Stream records: their bytes, their parts, and what is no record."""

import pytest
from msgspec.json import decode as json_value

from exchange import stream
from exchange.commands import CancelOrder
from exchange.stream import PoisonRecord
from tests.executions import TIME, a_record, a_trade, an_entry, an_order

ENVELOPE = [
    "version",
    "timeline",
    "cell",
    "epoch",
    "batch_id",
    "key",
    "part",
    "parts",
    "first_sequence",
    "last_sequence",
    "chain",
    "entries",
    "orders",
    "trades",
]


def test_a_record_is_the_same_after_its_bytes_are_decoded() -> None:
    record = a_record(an_entry(10, events=2), an_entry(11), orders=[an_order("a", 10)], trades=[a_trade(10)])

    assert stream.decode(stream.encode(record)) == record


def test_the_bytes_of_a_record_have_the_agreed_form() -> None:
    entry = stream.entry_of(10, TIME, CancelOrder("request-10", "alice", "1-abc"), [])

    value = json_value(stream.encode(a_record(entry)))

    assert list(value) == ENVELOPE
    assert value["entries"] == [
        {"sequence": 10, "time": TIME, "command": ["CancelOrder", "request-10", "alice", "1-abc"], "events": []}
    ]


def test_an_entry_without_a_command_says_null() -> None:
    record = a_record(stream.entry_of(10, TIME, None, []))

    assert json_value(stream.encode(record))["entries"][0]["command"] is None
    assert not stream.decode(stream.encode(record)).entries[0].has_command


def test_what_a_later_build_adds_to_commands_and_events_passes_unharmed() -> None:
    data = stream.encode(a_record(an_entry(10))).replace(b'"CancelOrder",', b'"FreezeOrder",{"new":1.50},')

    assert b'["FreezeOrder",{"new":1.50},' in bytes(stream.decode(data).entries[0].command)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "array"),
        (b"{}", "version"),
        (b'{"version":2}', "version 2, not 1"),
        (b'{"version":1}', "timeline"),
        (stream.encode(a_record(an_entry(1)))[:-9], "truncated"),
    ],
)
def test_a_poison_record_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PoisonRecord, match=reason):
        stream.decode(data)


def test_a_record_that_fits_is_its_only_part() -> None:
    record = a_record(an_entry(10))

    assert stream.parts(record) == [record]
    assert stream.payloads(record) == [stream.encode(record)]


def test_parts_fit_and_carry_whole_entries_in_order() -> None:
    record = a_record(*(an_entry(sequence, events=3) for sequence in range(10, 30)), trades=[a_trade(10)] * 5)

    parts = stream.parts(record, max_bytes=2_000)

    assert all(len(payload) <= 2_000 for payload in stream.payloads(record, max_bytes=2_000))
    assert [entry for part in parts for entry in part.entries] == record.entries
    assert [trade for part in parts for trade in part.trades] == record.trades
    assert [(part.part, part.parts) for part in parts] == [(i + 1, len(parts)) for i in range(len(parts))]


def test_an_entry_too_large_goes_on_in_the_next_part_without_its_command() -> None:
    record = a_record(an_entry(10, events=100))

    parts = stream.parts(record, max_bytes=2_000)

    assert [part.entries[0].has_command for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [event for part in parts for event in part.entries[0].events] == record.entries[0].events


def test_one_event_larger_than_a_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="larger than a part"):
        stream.parts(a_record(an_entry(10, events=3)), max_bytes=350)
