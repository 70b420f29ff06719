"""What enters the stream of orders, on disk: kept in order, read back, put into the next stream once."""

from pathlib import Path

import pytest

from local.kept_records import Kept, KeptRecords, Place
from local.order_stream import is_taken

FIRST, SECOND = Place(1, "shard-0", "0001"), Place(1, "shard-0", "0002")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders" / "kept.jsonl"


def test_what_was_kept_is_there_after_a_restart_in_order_and_with_its_place(path: Path) -> None:
    kept = KeptRecords(path)
    first, _, third = kept.add("1/alice", "YQ=="), kept.add("1/bob", "Yg=="), kept.add("1/alice", "Yw==")
    kept.placed(first, FIRST)
    kept.refused(third)

    again = KeptRecords(path)
    again.add("1/alice", "ZA==")

    assert again.records() == [Kept("1/alice", "YQ==", FIRST), Kept("1/bob", "Yg=="), Kept("1/alice", "ZA==")]
    assert KeptRecords(path).records() == again.records()


def test_a_line_that_was_not_written_whole_is_passed_by(path: Path) -> None:
    KeptRecords(path).add("1/alice", "YQ==")
    with path.open("a") as file:
        file.write('[2,"1/bo')

    assert KeptRecords(path).records() == [Kept("1/alice", "YQ==")]


def test_a_rewritten_file_holds_what_it_was_given(path: Path) -> None:
    kept = KeptRecords(path)
    for data in ("YQ==", "Yg==", "Yw=="):
        kept.add("1/alice", data)

    kept.rewrite([Kept("1/alice", "Yg==", SECOND)])
    kept.add("1/bob", "ZA==")

    assert KeptRecords(path).records() == [Kept("1/alice", "Yg==", SECOND), Kept("1/bob", "ZA==")]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_is_taken_when_a_leader_has_come_as_far_in_that_very_stream() -> None:
    positions = {(1, "shard-0"): "0001"}

    assert is_taken(Kept("k", "d", FIRST), positions)
    assert not is_taken(Kept("k", "d", SECOND), positions)
    assert not is_taken(Kept("k", "d", Place(2, "shard-0", "0001")), positions)
    assert not is_taken(Kept("k", "d"), positions)
