"""Shards read in order, whatever happens to the stream: nothing is skipped, nothing handed out twice."""

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from matching_service.shards import Shards
from tests.kinesis import LOST_REPLY, Stream

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


def shards_of(stream: Stream, left: dict[str, str] | None = None) -> Shards:
    made = Shards(stream, stream.name)
    made.begin(lambda _: left or {})
    return made


def read(shards: Shards, times: int = 12) -> list[str]:
    """What so many reads hand out, failures passed by."""
    found = []
    for _ in range(times):
        try:
            found += [record.data.decode() for record in shards.read()]
        except (BotoCoreError, ClientError):
            continue
    return found


def filled(records: int, shards: int = 1) -> Stream:
    stream = Stream("orders", shards)
    for number in range(records):
        stream.put(FIRST, str(number).encode())
    return stream


def test_every_record_comes_once_with_its_place_and_its_key() -> None:
    stream = filled(5)
    stream.put(FIRST, b"last", "1/alice")

    shards = shards_of(stream)
    found = [record for _ in range(4) for record in shards.read()]

    assert [record.data for record in found] == [b"0", b"1", b"2", b"3", b"4", b"last"]
    last = found[-1]
    assert (last.partition_key, last.position.shard_id, last.position.stream) == ("1/alice", FIRST, "orders")
    assert last.position.created == 1_795_305_600_000_000
    assert shards.is_level


def test_it_is_level_only_when_no_shard_has_more() -> None:
    stream = filled(4, shards=2)
    shards = shards_of(stream)

    levels = []
    for _ in range(3):
        shards.read()
        levels.append(shards.is_level)

    assert levels == [False, True, True]


def test_reading_goes_on_behind_what_was_taken_before() -> None:
    stream = filled(5)

    assert read(shards_of(stream, {FIRST: f"{3:020}"})) == ["3", "4"]


@pytest.mark.parametrize(
    "fault",
    [LOST_REPLY, "ExpiredIteratorException", "ProvisionedThroughputExceededException", "InternalFailure"],
)
def test_after_a_failure_the_same_place_is_read_again(fault: str) -> None:
    stream = filled(7)
    stream.faults.extend([None, fault, None, fault, fault])

    assert read(shards_of(stream)) == ["0", "1", "2", "3", "4", "5", "6"]


def test_a_throttled_call_asks_nothing_else_of_the_stream() -> None:
    stream = filled(3)
    shards = shards_of(stream)
    read(shards, 1)
    stream.calls.clear()
    stream.faults.append("ProvisionedThroughputExceededException")

    assert read(shards, 2) == ["2"]
    assert stream.calls == ["get", "get"]


def test_one_shard_that_fails_does_not_keep_back_the_others() -> None:
    stream = filled(1, shards=2)
    stream.put(SECOND, b"other")
    stream.faults.extend([None, LOST_REPLY])
    shards = shards_of(stream)

    assert [record.data for record in shards.read()] == [b"0"]
    assert not shards.is_level
    assert read(shards) == ["other"]


def test_a_child_is_read_when_its_parent_is_done() -> None:
    stream = filled(3)
    left, right = stream.add(FIRST), stream.add(FIRST)
    stream.put(left, b"left")
    stream.put(right, b"right")
    shards = shards_of(stream)

    assert read(shards) == ["0", "1", "2", "left", "right"]
    assert shards.is_level


def test_a_merged_shard_waits_for_both_of_its_parents() -> None:
    stream = filled(5, shards=2)
    merged = stream.add(FIRST, SECOND)
    stream.put(merged, b"merged")
    stream.put(SECOND, b"second")

    found = read(shards_of(stream))

    assert found[-1] == "merged"
    assert sorted(found) == ["0", "1", "2", "3", "4", "merged", "second"]


def test_a_reshard_while_it_reads_is_noticed() -> None:
    stream = filled(2)
    shards = shards_of(stream)
    assert read(shards, 3) == ["0", "1"]

    child = stream.add(FIRST)
    stream.put(child, b"child")

    assert read(shards) == ["child"]


def test_a_child_whose_parent_is_past_its_retention_is_read_at_once() -> None:
    stream = filled(2)
    child = stream.add(FIRST)
    stream.put(child, b"child")
    stream.trim(FIRST)

    assert read(shards_of(stream)) == ["child"]


def test_a_stream_made_anew_is_read_from_its_beginning_whatever_was_taken_of_the_old_one() -> None:
    stream = filled(3)
    created: list[int] = []

    def left(made: int) -> dict[str, str]:
        created.append(made)
        return {FIRST: f"{2:020}"} if len(set(created)) == 2 else {}

    shards = Shards(stream, "orders")
    shards.begin(left)
    assert read(shards, 2) == ["2"]
    stream.made_anew()
    stream._numbers = 0
    stream.put(FIRST, b"new")
    stream.faults.append("ResourceNotFoundException")

    assert read(shards) == ["new"]
    assert len(set(created)) == 3, "no stream, the first, the second"


def test_a_prepared_reader_has_only_to_read_and_begins_where_it_is_told_to() -> None:
    stream = filled(3)
    shards = Shards(stream, "orders")
    shards.prepare()
    stream.calls.clear()

    shards.begin(lambda created: {FIRST: f"{2:020}"} if created else {})

    assert [record.data for record in shards.read()] == [b"2"]
    assert stream.calls == ["get"]


def test_a_reader_that_begins_again_reads_from_there_again() -> None:
    stream = filled(3)
    shards = shards_of(stream)
    assert read(shards) == ["0", "1", "2"]

    shards.begin(lambda _: {FIRST: f"{1:020}"})

    assert not shards.is_level
    assert read(shards) == ["1", "2"]
