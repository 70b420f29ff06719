"""The shards of one stream, read in order by GetRecords: parents before children; it judges no record.

Every failure leaves the place where it was: an iterator that expired, a throttled call or a lost reply is asked again
from the last record that was handed out.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from matching_service.submissions import StreamPosition

MOST_RECORDS = 1000
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.0, 2.0
PASSING = ("ExpiredIteratorException", "ProvisionedThroughputExceededException", "LimitExceededException")
"""Refusals that say nothing about the stream itself: a new iterator, or another moment, will do."""

logger = logging.getLogger(__name__)


class Kinesis(Protocol):
    """What is used of the client of the stream; the names are AWS's."""

    def describe_stream_summary(self, *, StreamName: str) -> Any: ...  # noqa: D102, N803

    def list_shards(self, **arguments: Any) -> Any: ...  # noqa: D102

    def get_shard_iterator(self, **arguments: Any) -> Any: ...  # noqa: D102

    def get_records(self, *, ShardIterator: str, Limit: int) -> Any: ...  # noqa: D102, N803


def client() -> Kinesis:
    """Return a client that gives up soon and tries nothing twice by itself; importing it takes a third of a second."""
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 1})
    made: Any = boto3.client("kinesis", config=patience)
    return cast(Kinesis, made)


Left = Callable[[int], Mapping[str, str]]


class ShardRecord(Struct, frozen=True):
    """One record and its place."""

    position: StreamPosition
    partition_key: str
    data: bytes


class _Shard:
    """One shard: its next iterator, and whether all that was in it has been read."""

    __slots__ = ("has_ended", "is_level", "iterator", "parents", "shard_id")

    def __init__(self, shard_id: str, parents: frozenset[str]) -> None:
        self.shard_id = shard_id
        self.parents = parents
        self.iterator = ""
        self.is_level = False
        self.has_ended = False


class Shards:
    """Reads a stream from where it was left; not for use by two threads at once."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._left: Left = _nothing
        self._created = 0
        self._taken: dict[str, str] = {}
        self._shards: dict[str, _Shard] = {}
        self._must_describe = self._must_list = True

    def prepare(self) -> None:
        """Learn which stream this is and which shards it has, so that a first read has only to read."""
        self._must_describe = True
        self._look_around()

    def begin(self, left: Left) -> None:
        """Read from where `left` says; it tells the last sequence numbers by shard of a stream made at that time."""
        self._left = left
        self._taken = dict(left(self._created))
        for shard in self._shards.values():
            shard.iterator, shard.is_level, shard.has_ended = "", False, False

    @property
    def is_level(self) -> bool:
        """Whether every shard had nothing more to give at its last read."""
        return bool(self._shards) and not self._must_list and all(shard.is_level for shard in self._shards.values())

    def read(self) -> list[ShardRecord]:
        """Read each shard that has something to give once; raise what boto3 raises, with no record lost by it."""
        self._look_around()
        found: list[ShardRecord] = []
        for shard in self._readable():
            try:
                found += self._read(shard)
            except (BotoCoreError, ClientError) as error:
                shard.iterator, shard.is_level = "", False
                self._must_describe = self._must_describe or _code(error) not in PASSING
                if not found:
                    raise
                logger.warning("a shard could not be read", extra={"shard": shard.shard_id, "why": str(error)})
        return found

    def _look_around(self) -> None:
        """Find out which stream this is, and which shards it has, where that may have changed."""
        if self._must_describe:
            summary = self._kinesis.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"]
            created = round(summary["StreamCreationTimestamp"].timestamp() * 1_000_000)
            if created != self._created:
                self._created, self._taken = created, dict(self._left(created))
                self._shards.clear()
            self._must_describe, self._must_list = False, True
        if self._must_list:
            self._list()
            self._must_list = False

    def _list(self) -> None:
        listed: dict[str, frozenset[str]] = {}
        arguments: dict[str, Any] = {"StreamName": self._stream}
        while arguments:
            answer = self._kinesis.list_shards(**arguments)
            for row in answer["Shards"]:
                parents = (row.get("ParentShardId"), row.get("AdjacentParentShardId"))
                listed[row["ShardId"]] = frozenset(filter(None, parents))
            arguments = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        for shard_id in self._shards.keys() - listed.keys():
            del self._shards[shard_id]
        for shard_id, known_parents in listed.items():
            self._shards.setdefault(shard_id, _Shard(shard_id, known_parents))

    def _readable(self) -> list[_Shard]:
        """Return the shards that have not ended and whose parents, where these still exist, have."""
        waiting = {shard.shard_id for shard in self._shards.values() if not shard.has_ended}
        return [self._shards[shard_id] for shard_id in sorted(waiting) if not self._shards[shard_id].parents & waiting]

    def _read(self, shard: _Shard) -> list[ShardRecord]:
        iterator = shard.iterator or self._iterator(shard)
        answer = self._kinesis.get_records(ShardIterator=iterator, Limit=MOST_RECORDS)
        records = [
            ShardRecord(
                StreamPosition(self._stream, self._created, shard.shard_id, row["SequenceNumber"]),
                row["PartitionKey"],
                row["Data"],
            )
            for row in answer["Records"]
        ]
        if records:
            self._taken[shard.shard_id] = records[-1].position.sequence_number
        shard.iterator = answer.get("NextShardIterator") or ""
        shard.is_level = not answer.get("MillisBehindLatest")
        if not shard.iterator:
            shard.has_ended = shard.is_level = self._must_list = True
        return records

    def _iterator(self, shard: _Shard) -> str:
        taken = self._taken.get(shard.shard_id)
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if taken is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": taken}
        try:
            answer = self._kinesis.get_shard_iterator(StreamName=self._stream, ShardId=shard.shard_id, **where)
        except ClientError as error:
            if taken is not None and _code(error) == "InvalidArgumentException":
                logger.warning("a shard does not know its position any more", extra={"shard": shard.shard_id})
                del self._taken[shard.shard_id]
            raise
        iterator: str = answer["ShardIterator"]
        return iterator


def _nothing(_created: int) -> dict[str, str]:
    return {}


def _code(error: BotoCoreError | ClientError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
