"""The archive's objects: their names, their lines, and how overlaps are read."""

import pytest

from exchange.archive import ArchiveConflict, ArchiveLine, objects_of, read_archive
from exchange.stream import StreamRecord
from tests.executions import MICROSECONDS_PER_HOUR, SHARD, TIME, a_record, an_entry

ETHER = "ETH-USD"


def places(lines: list[ArchiveLine]) -> list[tuple[int, int]]:
    return [(line.sequence, line.index) for line in lines]


def bodies(*records: StreamRecord) -> list[bytes]:
    return [item.body for item in objects_of(SHARD, records)]


def test_an_object_is_named_after_hour_cell_timeline_shard_and_its_first_and_last_line() -> None:
    (item,) = objects_of(SHARD, [a_record(an_entry(10), an_entry(12, events=3))])

    assert item.key.startswith(
        "executions/hour=2026-11-22T07/cell=1/timeline=1/shardId-000000000001/"
        "0000000000000000010.000000-0000000000000000012.000003-"
    )
    assert item.key.endswith(".jsonl.gz")


def test_there_is_one_line_for_each_command_and_event() -> None:
    lines = read_archive(bodies(a_record(an_entry(11, events=2), an_entry(10))))

    assert places(lines) == [(10, 0), (10, 1), (11, 0), (11, 1), (11, 2)]
    assert bytes(lines[0].content) == b'["CancelOrder","request-10","alice","1-abc"]'
    assert bytes(lines[1].content) == b'["OrderCanceled","1-abc","alice","BTC-USD","buy",100,5,5,"user",10,0]'


def test_an_object_holds_one_hour_of_engine_time() -> None:
    later = an_entry(11, time=TIME + MICROSECONDS_PER_HOUR)

    items = objects_of(SHARD, [a_record(an_entry(10)), a_record(later)])

    assert [item.key.split("/")[1] for item in items] == ["hour=2026-11-22T07", "hour=2026-11-22T08"]
    assert [item.sources for item in items] == [frozenset({0}), frozenset({1})]


def test_timelines_do_not_share_an_object() -> None:
    items = objects_of(SHARD, [a_record(an_entry(10)), a_record(an_entry(10), timeline=2)])

    assert ["timeline=1" in item.key for item in items] == [True, False]
    assert len(read_archive([item.body for item in items])) == 4


def test_the_same_records_make_the_same_object() -> None:
    records = [a_record(an_entry(10)), a_record(an_entry(11))]

    assert objects_of(SHARD, records) == objects_of(SHARD, records)


def test_objects_of_other_content_between_the_same_ends_have_other_names() -> None:
    bitcoin, ether = a_record(an_entry(1), an_entry(3)), a_record(an_entry(2), key=ETHER)

    (alone,), (together,) = objects_of(SHARD, [bitcoin]), objects_of(SHARD, [bitcoin, ether])

    assert alone.key.rsplit("-", 1)[0] == together.key.rsplit("-", 1)[0]
    assert alone.key != together.key


def test_the_poisoned_are_marked() -> None:
    entry = an_entry(10, events=0)
    poisoned = type(entry)(entry.sequence, entry.time, entry.command, entry.events, poisoned=True)

    assert [line.poisoned for line in read_archive(bodies(a_record(poisoned)))] == [True]


def test_overlapping_objects_are_read_once() -> None:
    whole = bodies(a_record(an_entry(10)), a_record(an_entry(11)))
    rest = bodies(a_record(an_entry(11)), a_record(an_entry(12)))

    assert places(read_archive(rest + whole)) == [(10, 0), (10, 1), (11, 0), (11, 1), (12, 0), (12, 1)]


def test_objects_that_disagree_are_a_conflict() -> None:
    with pytest.raises(ArchiveConflict, match=r"\(1, 1, 10, 0\)"):
        read_archive(bodies(a_record(an_entry(10))) + bodies(a_record(an_entry(10, time=TIME + 1))))
