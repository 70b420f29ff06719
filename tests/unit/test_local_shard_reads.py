"""How several event sources share the reads of one shard."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local.shard_reads import Position, Reads

ARRIVED = datetime(2026, 1, 2, tzinfo=UTC)
START = Position("TRIM_HORIZON")


class Stream:
    """A shard of numbered records whose iterators are indexes, as a boto3 client shows it."""

    def __init__(self, records: int, ended: bool = False) -> None:
        self.records = records
        self.ended = ended
        self.calls: list[str] = []
        self.expired: set[str] = set()

    def get_shard_iterator(self, **where: str) -> dict[str, str]:
        kind = where["ShardIteratorType"]
        self.calls.append(kind)
        places = {"TRIM_HORIZON": 0, "LATEST": self.records}
        return {"ShardIterator": str(places.get(kind, int(where.get("StartingSequenceNumber", "-1")) + 1))}

    def get_records(self, **given: Any) -> dict[str, Any]:
        iterator, most = given["ShardIterator"], given["Limit"]
        self.calls.append(f"read {iterator}")
        if iterator in self.expired:
            raise TimeoutError("ExpiredIteratorException")
        begin = int(iterator)
        rows = [
            {"SequenceNumber": str(n), "PartitionKey": "k", "Data": b"x", "ApproximateArrivalTimestamp": ARRIVED}
            for n in range(begin, min(self.records, begin + most))
        ]
        return {"Records": rows, "NextShardIterator": None if self.ended else str(begin + len(rows))}


def numbers(reads: Reads, position: Position) -> tuple[list[str], Position]:
    found = reads.read("stream", "shard", position)
    return [record.sequence_number for record in found.records], found.position


def test_sources_at_the_same_position_share_one_read() -> None:
    stream = Stream(3)
    reads = Reads(stream)

    first, second = numbers(reads, START), numbers(reads, START)

    assert first == second == (["0", "1", "2"], Position("AFTER_SEQUENCE_NUMBER", "2"))
    assert stream.calls == ["TRIM_HORIZON", "read 0"]


def test_the_next_read_goes_on_where_the_last_one_ended() -> None:
    stream = Stream(2)
    reads = Reads(stream)
    _, position = numbers(reads, START)

    stream.records = 4

    assert numbers(reads, position)[0] == ["2", "3"]
    assert stream.calls == ["TRIM_HORIZON", "read 0", "read 2"]


def test_a_source_far_behind_reads_on_its_own_and_misses_nothing() -> None:
    stream = Stream(1)
    reads = Reads(stream)
    _, position = numbers(reads, START)
    behind = position
    for _ in range(100):
        stream.records += 1
        _, position = numbers(reads, position)

    assert numbers(reads, behind)[0] == [str(number) for number in range(1, 101)]


def test_two_sources_that_start_at_the_latest_record_both_see_the_next_one() -> None:
    stream = Stream(5)
    reads = Reads(stream)
    latest = Position("LATEST")
    assert numbers(reads, latest) == ([], latest)

    stream.records = 6
    reads._shards["stream", "shard"].reads.clear()  # as if the answer of nothing were no longer fresh

    assert numbers(reads, latest)[0] == ["5"]
    assert numbers(reads, latest)[0] == ["5"]


def test_an_iterator_that_expired_is_replaced() -> None:
    stream = Stream(2)
    reads = Reads(stream)
    _, position = numbers(reads, START)
    stream.records = 3
    stream.expired = {"2"}
    with pytest.raises(TimeoutError):
        reads.read("stream", "shard", position)
    stream.expired = set()

    assert numbers(reads, position)[0] == ["2"]
    assert stream.calls[-2:] == ["AFTER_SEQUENCE_NUMBER", "read 2"]


def test_a_shard_that_was_closed_ends_after_its_last_record() -> None:
    reads = Reads(Stream(1, ended=True))

    found = reads.read("stream", "shard", START)

    assert [record.sequence_number for record in found.records] == ["0"]
    assert found.ended
