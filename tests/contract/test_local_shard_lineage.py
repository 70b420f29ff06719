"""What the poller does when shards come and go, on an emulator that knows parents."""

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from local.event_sources import DeadLetters, Source, Tools
from local.mappings import Answered, Failed
from local.template import KinesisSource

STREAM = "numbers"


class Collector:
    """A function that keeps the sequence numbers of the records that it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def invoke(self, function: str, payload: bytes) -> Failed | Answered:
        records = json.loads(payload)["Records"]
        self.texts += [base64.b64decode(record["kinesis"]["data"]).decode() for record in records]
        return Answered(None)


def put(kinesis: Any, *texts: str) -> None:
    records = [{"Data": text.encode(), "PartitionKey": "one key"} for text in texts]
    assert kinesis.put_records(StreamName=STREAM, Records=records)["FailedRecordCount"] == 0


def polled(kinesis: Any, folder: Path, until: Callable[[Collector], bool], starting_position: str) -> list[str]:
    collector, stopping = Collector(), threading.Event()
    tools = Tools(kinesis, collector.invoke, DeadLetters(folder, None))
    with ThreadPoolExecutor(16) as pool:
        source = Source(
            KinesisSource("source", "Function", "Numbers", starting_position=starting_position), tools, pool
        )
        source.discover(stopping)
        deadline = time.monotonic() + 60
        while not until(collector) and time.monotonic() < deadline:
            stopping.wait(0.01)
        stopping.set()
    return collector.texts


@mock_aws
def test_a_parent_is_worked_off_before_its_children(tmp_path: Path) -> None:
    kinesis = boto3.client("kinesis", "us-east-1")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    before, after = [f"old {number}" for number in range(250)], [f"new {number}" for number in range(50)]
    put(kinesis, *before)
    kinesis.split_shard(StreamName=STREAM, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 127))
    put(kinesis, *after)

    got = polled(kinesis, tmp_path, lambda collector: len(collector.texts) >= 300, "TRIM_HORIZON")

    assert sorted(got[:250]) == sorted(before)
    assert sorted(got) == sorted([*before, *after])


@mock_aws
def test_a_source_that_starts_at_the_latest_record_skips_what_was_there(tmp_path: Path) -> None:
    kinesis = boto3.client("kinesis", "us-east-1")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    put(kinesis, "old")
    sent: list[str] = []

    def sending(collector: Collector) -> bool:
        sent.append(f"new {len(sent)}")
        put(kinesis, sent[-1])
        return len(collector.texts) >= 3

    got = polled(kinesis, tmp_path, sending, "LATEST")

    assert "old" not in got
    assert len(got) >= 3
