"""The rules by which Lambda hands records of a stream to a function, as AWS documents them."""

import base64
import json
from datetime import UTC, datetime

import pytest

from local import mappings
from local.mappings import Answered, Batch, Discarded, Failed, Lane, Record
from local.template import KinesisSource

NOW = 1_000_000.0
SUCCESS = Answered(None)


def records(*numbers: int, arrived: float = NOW, size: int = 1) -> list[Record]:
    return [Record(str(number), f"key{number}", b"x" * size, arrived) for number in numbers]


def lane(*numbers: int, **settings: object) -> Lane:
    made = Lane(KinesisSource("source", "Function", "Stream", **settings))  # type: ignore[arg-type]
    made.add(records(*numbers), NOW)
    return made


def numbers(batch: Batch | None) -> list[int] | None:
    return None if batch is None else [int(record.sequence_number) for record in batch.records]


def taken(made: Lane, now: float = NOW) -> Batch:
    batch = made.next_batch(now)
    assert batch is not None
    return batch


def failures(*sequence_numbers: object) -> Answered:
    return Answered({"batchItemFailures": [{"itemIdentifier": number} for number in sequence_numbers]})


def test_a_batch_has_at_most_the_batch_size_in_order() -> None:
    made = lane(1, 2, 3, 4, 5, batch_size=2)

    assert [numbers(made.next_batch(NOW)) for _ in range(4)] == [[1, 2], [3, 4], [5], None]


def test_a_batch_waits_for_the_window_unless_it_is_full() -> None:
    made = lane(1, 2, 3, batch_size=2, window_seconds=1.0)

    assert numbers(made.next_batch(NOW)) == [1, 2]
    assert made.next_batch(NOW + 0.9) is None
    assert numbers(made.next_batch(NOW + 1.0)) == [3]


def test_the_window_begins_with_the_first_record_that_waits() -> None:
    made = lane(window_seconds=1.0)

    made.add(records(1), NOW + 5)
    made.add(records(2), NOW + 5.9)

    assert made.next_batch(NOW + 5.95) is None
    assert numbers(made.next_batch(NOW + 6.0)) == [1, 2]


def test_a_batch_never_makes_an_event_of_more_than_six_megabytes() -> None:
    made = Lane(KinesisSource("source", "Function", "Stream", window_seconds=60.0))
    made.add(records(1, 2, 3, 4, 5, 6, size=1_000_000), NOW)

    batch = taken(made)

    assert numbers(batch) == [1, 2, 3, 4]
    assert len(mappings.event(batch, "stream", "shard")) <= 6 << 20


def test_a_failed_batch_is_sent_again_before_anything_newer() -> None:
    made = lane(1, 2, 3, batch_size=2)

    assert made.settle(taken(made), Failed()) == (True, None)

    assert numbers(made.next_batch(NOW)) == [1, 2]
    assert numbers(made.next_batch(NOW)) == [3]


def test_without_a_bound_a_batch_is_tried_for_ever() -> None:
    made = lane(1)

    for _ in range(50):
        assert made.settle(taken(made), Failed()) == (True, None)


def test_a_batch_is_given_up_after_the_maximum_of_retries() -> None:
    made = lane(1, 2, maximum_attempts=2)

    assert made.settle(taken(made), Failed()) == (True, None)
    assert made.settle(taken(made), Failed()) == (True, None)
    failed, discarded = made.settle(taken(made), Failed())

    assert failed
    assert discarded == Discarded(Batch(tuple(records(1, 2)), 2), "RetryAttemptsExhausted")
    assert len(made) == 0


def test_bisecting_finds_the_poisoned_record_and_loses_no_other() -> None:
    made = lane(1, 2, 3, 4, 5, bisect=True, maximum_attempts=1)
    delivered, given_up = [], []

    while (batch := made.next_batch(NOW)) is not None:
        poisoned = 4 in (numbers(batch) or ())
        _, discarded = made.settle(batch, Failed() if poisoned else SUCCESS)
        given_up += [] if discarded is None else [numbers(discarded.batch)]
        delivered += [] if poisoned else (numbers(batch) or [])

    assert delivered == [1, 2, 3, 5]
    assert given_up == [[4]]


def test_a_partial_failure_goes_on_from_the_lowest_failed_record() -> None:
    made = lane(1, 2, 3, 4, report_failures=True)

    assert made.settle(taken(made), failures("4", "3")) == (True, None)

    assert numbers(made.next_batch(NOW)) == [3, 4]


def test_progress_begins_a_new_count_of_attempts() -> None:
    made = lane(1, 2, 3, report_failures=True, maximum_attempts=1)

    assert made.settle(taken(made), failures("2")) == (True, None)
    assert made.settle(taken(made), failures("3")) == (True, None)
    _, discarded = made.settle(taken(made), failures("3"))

    assert discarded is not None
    assert numbers(discarded.batch) == [3]


def test_with_bisecting_a_partial_failure_splits_where_the_function_said() -> None:
    made = lane(1, 2, 3, 4, report_failures=True, bisect=True, maximum_attempts=0)

    made.settle(taken(made), failures("3"))

    assert numbers(made.next_batch(NOW)) == [3, 4]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_report_is_a_complete_success(answer: object) -> None:
    made = lane(1, report_failures=True)

    assert made.settle(taken(made), Answered(answer)) == (False, None)
    assert len(made) == 0


@pytest.mark.parametrize(
    "answer",
    [failures(""), failures(None), failures("9"), Answered({"batchItemFailures": [{"wrong": "1"}]}), Answered("x")],
)
def test_a_report_without_sense_is_a_complete_failure(answer: Answered) -> None:
    made = lane(1, 2, report_failures=True)

    assert made.settle(taken(made), answer) == (True, None)
    assert numbers(made.next_batch(NOW)) == [1, 2]


def test_a_report_counts_only_where_the_source_asks_for_it() -> None:
    made = lane(1, 2)

    assert made.settle(taken(made), failures("1")) == (False, None)


def test_records_older_than_allowed_are_given_up_in_order() -> None:
    made = Lane(KinesisSource("source", "Function", "Stream", maximum_age_seconds=60))
    made.add([*records(1, 2, arrived=NOW - 61), *records(3)], NOW)

    discarded = made.too_old(NOW)

    assert discarded is not None
    assert (numbers(discarded.batch), discarded.condition) == ([1, 2], "RecordAgeExceeded")
    assert made.too_old(NOW) is None
    assert numbers(made.next_batch(NOW)) == [3]


def test_records_of_one_key_always_share_a_lane() -> None:
    lanes = {key: mappings.lane_of(key, 3) for key in ("BTC-USD", "ETH-USD", "SOL-USD", "account/1")}

    assert {key: mappings.lane_of(key, 3) for key in lanes} == lanes
    assert set(lanes.values()) <= {0, 1, 2}


def test_an_event_has_the_shape_that_aws_documents() -> None:
    document = json.loads(mappings.event(Batch((Record("7", "BTC-USD", b"data", 1.5),)), "executions", "shardId-1"))

    assert document == {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "BTC-USD",
                    "sequenceNumber": "7",
                    "data": base64.b64encode(b"data").decode(),
                    "approximateArrivalTimestamp": 1.5,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": "shardId-1:7",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/executions",
            }
        ]
    }


def test_a_dead_letter_carries_its_payload() -> None:
    batch = Batch(tuple(records(1, 2)), failures=3)
    source = KinesisSource("source", "Function", "Stream")

    letter = mappings.dead_letter(
        Discarded(batch, "RetryAttemptsExhausted"), source, "stream", "shard", datetime(2026, 1, 2, tzinfo=UTC)
    )

    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == 4
    assert letter["timestamp"] == "2026-01-02T00:00:00.000Z"
    assert letter["KinesisBatchInfo"]["startSequenceNumber"] == "1"
    assert letter["KinesisBatchInfo"]["endSequenceNumber"] == "2"
    assert json.loads(letter["payload"]) == json.loads(mappings.event(batch, "stream", "shard"))
