"""The archiver against a real emulator of S3, with its faults."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from exchange.archive import Archived, archive, objects_of, read_archive
from exchange.deliveries import deliveries
from exchange.stream import StreamRecord
from functions.archiver import app
from tests.aws_server import CREDENTIALS, aws_server
from tests.executions import MICROSECONDS_PER_HOUR, SHARD, TIME, a_record, an_entry, kinesis_event
from tests.faulty_proxy import LoseReply, Reply, faulty_proxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UNAVAILABLE = Reply(503, b"<Error><Code>SlowDown</Code></Error>", "application/xml")


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with aws_server() as url:
        yield url


@pytest.fixture
def bucket(aws: str, request: pytest.FixtureRequest) -> str:
    name = f"archive-{abs(hash(request.node.name))}"
    s3(aws).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


def s3(url: str, attempts: int = 1) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}),
    )


def bodies(aws: str, bucket: str) -> list[bytes]:
    client = s3(aws)
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return [client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]


def archived(aws: str, bucket: str) -> list[tuple[int, int]]:
    return [(line.sequence, line.index) for line in read_archive(bodies(aws, bucket))]


def taken(url: str, bucket: str, *records: StreamRecord | bytes, attempts: int = 1) -> Archived:
    return archive(s3(url, attempts), bucket, deliveries(kinesis_event(*records)))


def test_a_batch_is_archived_once_however_often_it_is_delivered(aws: str, bucket: str) -> None:
    records = [a_record(an_entry(10, events=2)), a_record(an_entry(11))]

    first, second = taken(aws, bucket, *records), taken(aws, bucket, *records)

    assert (first, second) == (Archived(1, 0, {}), Archived(0, 1, {}))
    assert archived(aws, bucket) == [(10, 0), (10, 1), (10, 2), (11, 0), (11, 1)]


def test_an_object_is_never_overwritten(aws: str, bucket: str) -> None:
    record = a_record(an_entry(10))
    (item,) = objects_of(SHARD, [record])
    s3(aws).put_object(Bucket=bucket, Key=item.key, Body=b"was here")

    taken(aws, bucket, record)

    assert bodies(aws, bucket) == [b"was here"]


def test_a_batch_that_was_bisected_overlaps_without_harm(aws: str, bucket: str) -> None:
    records = [a_record(an_entry(sequence)) for sequence in (10, 11, 12)]

    taken(aws, bucket, *records)
    taken(aws, bucket, records[0])
    taken(aws, bucket, *records[1:])

    assert len(bodies(aws, bucket)) == 3
    assert archived(aws, bucket) == [(10, 0), (10, 1), (11, 0), (11, 1), (12, 0), (12, 1)]


def test_records_whose_object_s3_refuses_are_delivered_again(aws: str, bucket: str) -> None:
    later = a_record(an_entry(11, time=TIME + MICROSECONDS_PER_HOUR))
    with faulty_proxy(aws, "PUT", bucket) as proxy:
        proxy.faults.append(UNAVAILABLE)

        outcome = taken(proxy.url, bucket, a_record(an_entry(10)), later, a_record(an_entry(12)))

    assert list(outcome.failed) == ["1000", "1002"]
    assert archived(aws, bucket) == [(11, 0), (11, 1)]


def test_a_passing_refusal_of_s3_is_not_seen_by_the_event_source(aws: str, bucket: str) -> None:
    with faulty_proxy(aws, "PUT", bucket) as proxy:
        proxy.faults.append(UNAVAILABLE)

        outcome = taken(proxy.url, bucket, a_record(an_entry(10)), attempts=2)

    assert outcome == Archived(1, 0, {})


def test_an_object_whose_reply_was_lost_is_found_there(aws: str, bucket: str) -> None:
    with faulty_proxy(aws, "PUT", bucket) as proxy:
        proxy.faults.append(LoseReply())

        outcome = taken(proxy.url, bucket, a_record(an_entry(10)), attempts=2)

    assert outcome == Archived(0, 1, {})
    assert archived(aws, bucket) == [(10, 0), (10, 1)]


def test_a_poison_record_fails_alone_and_all_others_are_archived(aws: str, bucket: str) -> None:
    outcome = taken(aws, bucket, a_record(an_entry(10)), b'{"version":9}', a_record(an_entry(11)))

    assert outcome == Archived(1, 0, {"1001": "a stream record of version 9, not 1"})
    assert archived(aws, bucket) == [(10, 0), (10, 1), (11, 0), (11, 1)]


def test_the_function_archives_a_batch_and_names_the_poison_record(
    aws: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = CREDENTIALS | {"AWS_ENDPOINT_URL": aws, "ARCHIVE_BUCKET": bucket}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    answer = app.handler(kinesis_event(a_record(an_entry(10)), b"poison"), None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1001"}]}
    assert archived(aws, bucket) == [(10, 0), (10, 1)]
