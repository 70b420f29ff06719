"""The rules by which Lambda hands the records of one shard to a function; pure: no stream, no clock, no function here.

Source: the AWS Lambda guide, "Process Amazon Kinesis Data Streams records with Lambda" and its pages on batch windows,
partial batch responses, error handling and parallelisation.
"""

import base64
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from local.cloudformation import ACCOUNT, REGION
from local.template import KinesisSource

EVENT_BYTES = 6 << 20
RECORD_OVERHEAD = 512
"""What one record adds to the event beside its data, generously."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a shard."""

    sequence_number: str
    partition_key: str
    data: bytes
    arrived: float

    @property
    def event_bytes(self) -> int:
        """The bytes that it takes in an event."""
        return (len(self.data) + 2) // 3 * 4 + len(self.partition_key) + RECORD_OVERHEAD


@dataclass(frozen=True, slots=True)
class Batch:
    """Records on their way to the function, and how often they have failed already."""

    records: tuple[Record, ...]
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Discarded:
    """A batch that is given up, and why: `RetryAttemptsExhausted` or `RecordAgeExceeded`."""

    batch: Batch
    condition: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, timed out or could not be called."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The function answered with this document."""

    document: Any


class Lane:
    """The records of one shard (or of one share of its partition keys) in order, and what is next for them."""

    def __init__(self, source: KinesisSource) -> None:
        self._source = source
        self._waiting: deque[Record] = deque()
        self._retries: deque[Batch] = deque()  # parts of one failed batch, oldest first: they go before what waits
        self._waiting_since = 0.0

    def add(self, records: Sequence[Record], now: float) -> None:
        """Put newly read records at the end."""
        if records and not self._waiting:
            self._waiting_since = now
        self._waiting.extend(records)

    def __len__(self) -> int:
        return len(self._waiting) + sum(len(batch.records) for batch in self._retries)

    @property
    def failures(self) -> int:
        """How often what comes next has failed already."""
        return self._retries[0].failures if self._retries else 0

    def too_old(self, now: float) -> Discarded | None:
        """Take from the front the records that are older than the source allows."""
        age = self._source.maximum_age_seconds
        if age < 0:
            return None
        if not self._retries:
            waiting = takewhile(lambda record: now - record.arrived > age, self._waiting)
            old = tuple(islice(waiting, self._source.batch_size))
            for _ in old:
                self._waiting.popleft()
            return Discarded(Batch(old), "RecordAgeExceeded") if old else None
        batch = self._retries.popleft()
        old = tuple(takewhile(lambda record: now - record.arrived > age, batch.records))
        if len(old) < len(batch.records):
            self._retries.appendleft(replace(batch, records=batch.records[len(old) :]))
        return Discarded(replace(batch, records=old), "RecordAgeExceeded") if old else None

    def next_batch(self, now: float) -> Batch | None:
        """Take the next batch: a retry at once, else when it is full, too large to grow, or the window has passed."""
        if self._retries:
            return self._retries.popleft()
        if not self._waiting:
            return None
        count, size = 0, 0
        for record in self._waiting:
            if count == self._source.batch_size or (count and size + record.event_bytes > EVENT_BYTES):
                break
            count, size = count + 1, size + record.event_bytes
        full = count == self._source.batch_size or count < len(self._waiting)
        if not full and now - self._waiting_since < self._source.window_seconds:
            return None
        batch = Batch(tuple(self._waiting.popleft() for _ in range(count)))
        self._waiting_since = now
        return batch

    def settle(self, batch: Batch, outcome: Failed | Answered) -> tuple[bool, Discarded | None]:
        """Note what became of a batch: whether any of it failed, and what is given up; the rest is retried first."""
        first_failed = _first_failed(batch, outcome, reports=self._source.report_failures)
        if first_failed is None:
            return False, None
        rest = batch.records[first_failed:]
        failures = batch.failures + 1 if first_failed == 0 else 1  # progress begins a new count
        most = self._source.maximum_attempts
        if self._source.bisect and len(rest) > 1:
            if first_failed == 0:  # splitting does not count against the attempts
                middle = len(rest) // 2
                self._retries.extendleft((Batch(rest[middle:], batch.failures), Batch(rest[:middle], batch.failures)))
            else:  # split where the function said that it failed
                self._retries.appendleft(Batch(rest, 0))
            return True, None
        if 0 <= most < failures:
            return True, Discarded(replace(batch, records=rest), "RetryAttemptsExhausted")
        self._retries.appendleft(Batch(rest, failures))
        return True, None


def _first_failed(batch: Batch, outcome: Failed | Answered, *, reports: bool) -> int | None:
    """Return the index of the first record that failed, None for none; an answer without sense fails the whole."""
    if isinstance(outcome, Failed):
        return 0
    document = outcome.document
    if not reports or document is None or document == {}:
        return None
    if not isinstance(document, Mapping):
        return 0
    failures = document.get("batchItemFailures")
    if failures is None or failures == []:
        return None
    numbers = [record.sequence_number for record in batch.records]
    try:
        return min(numbers.index(failure["itemIdentifier"]) for failure in failures)
    except (KeyError, TypeError, ValueError):
        return 0


def lane_of(partition_key: str, lanes: int) -> int:
    """Return the lane of a partition key: always the same, so that its records stay in order."""
    return sum(partition_key.encode()) % lanes


def stream_arn(stream: str) -> str:
    """Return the ARN of a stream."""
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}"


def event(batch: Batch, stream: str, shard: str) -> bytes:
    """Build the event that the function gets."""
    return json.dumps({"Records": [_event_record(record, stream, shard) for record in batch.records]}).encode()


def _event_record(record: Record, stream: str, shard: str) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number,
            "data": base64.b64encode(record.data).decode(),
            "approximateArrivalTimestamp": round(record.arrived, 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record.sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/local",
        "awsRegion": REGION,
        "eventSourceARN": stream_arn(stream),
    }


def dead_letter(discarded: Discarded, source: KinesisSource, stream: str, shard: str, now: datetime) -> dict[str, Any]:
    """Build the invocation record of a batch that was given up, with its payload, as an S3 destination gets it."""
    records = discarded.batch.records
    return {
        "requestContext": {
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{source.function}",
            "condition": discarded.condition,
            "approximateInvokeCount": discarded.batch.failures + 1,
        },
        "version": "1.0",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "KinesisBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": records[0].sequence_number,
            "endSequenceNumber": records[-1].sequence_number,
            "batchSize": len(records),
            "streamArn": stream_arn(stream),
        },
        "payload": event(discarded.batch, stream, shard).decode(),
    }
