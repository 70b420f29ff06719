"""What stands before the emulator's stream of orders: nothing that entered is lost when the emulator forgets."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import emulated
from local.kept_records import KeptRecords
from local.order_stream import OrderStream, Positions
from tests.aws_server import aws_server

NAME = "orders-stream"
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "Kinesis_20131202.PutRecord",
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20261122/us-east-1/kinesis/aws4_request",
}
DATA = {"a": "YQ==", "b": "Yg==", "c": "Yw=="}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with aws_server() as made:
        yield made


@pytest.fixture
def kinesis(url: str) -> Iterator[Any]:
    client = emulated.client("kinesis", url)
    client.create_stream(StreamName=NAME, ShardCount=1)
    yield client
    client.delete_stream(StreamName=NAME)


def entered(stream: OrderStream, name: str) -> int:
    record = {"StreamName": NAME, "PartitionKey": "1/alice", "Data": DATA[name]}
    return stream.enter(HEADERS, json.dumps(record).encode())[0]


def stream_of(url: str, path: Path, positions: Positions | None = None) -> OrderStream:
    made = OrderStream(url, NAME, KeptRecords(path), lambda: positions or {})
    made.put_back()
    return made


def held(kinesis: Any) -> list[bytes]:
    """What the stream holds."""
    where = {"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName=NAME, **where)["ShardIterator"]
    return [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]


def forgotten(kinesis: Any) -> None:
    """Make the stream anew, in another second: the emulator tells its age in seconds."""
    second = int(time.time())
    kinesis.delete_stream(StreamName=NAME)
    while int(time.time()) == second:
        kinesis.list_streams()
    kinesis.create_stream(StreamName=NAME, ShardCount=1)


def test_what_entered_is_put_back_in_order_into_a_stream_made_anew_and_only_there(
    url: str, kinesis: Any, tmp_path: Path
) -> None:
    path = tmp_path / "kept.jsonl"
    stream = stream_of(url, path)
    assert [entered(stream, name) for name in "abc"] == [200, 200, 200]
    assert held(kinesis) == [b"a", b"b", b"c"]

    stream_of(url, path)
    assert held(kinesis) == [b"a", b"b", b"c"]
    forgotten(kinesis)
    stream_of(url, path)
    assert held(kinesis) == [b"a", b"b", b"c"]
    forgotten(kinesis)
    stream_of(url, path)
    assert held(kinesis) == [b"a", b"b", b"c"]


def test_what_a_leader_has_taken_is_not_put_back(url: str, kinesis: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    stream = stream_of(url, path)
    entered(stream, "a")
    entered(stream, "b")
    first = KeptRecords(path).records()[0].place
    assert first is not None
    forgotten(kinesis)

    stream_of(url, path, {(first.created, first.shard_id): first.sequence_number})

    assert held(kinesis) == [b"b"]


def test_what_the_stream_refuses_is_not_kept(url: str, kinesis: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    stream = stream_of(url, path)
    wrong = json.dumps({"StreamName": "no such stream", "PartitionKey": "1/alice", "Data": "YQ=="}).encode()

    assert stream.enter(HEADERS, wrong)[0] == 400
    assert KeptRecords(path).records() == []


def test_what_an_emulator_that_is_not_there_was_not_given_is_not_kept(kinesis: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    stream = OrderStream("http://127.0.0.1:1", NAME, KeptRecords(path), dict)

    assert entered(stream, "a") == 400
    assert KeptRecords(path).records() == []
