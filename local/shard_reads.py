"""Reads shards of a stream once for all event sources that follow it; it keeps no one's place in the stream.

Each source has its own position, and a source that falls behind reads on its own; those at the same position share a
read, which halves what two sources of one stream cost.
"""

import threading
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.mappings import Record

FRESH_SECONDS = 0.24
"""So long a read that found nothing answers for others at its position."""
KEPT_READS = 32
READ_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a shard: where a source starts, or right after a record."""

    kind: str
    sequence_number: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What one read found, the position after it, and whether the shard has ended."""

    records: tuple[Record, ...]
    position: Position
    ended: bool
    at: float


class _Shard:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reads: OrderedDict[Position, Read] = OrderedDict()
        self.iterators: OrderedDict[Position, str] = OrderedDict()


class Reads:
    """The reads of one client, shared between threads."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis
        self._shards: defaultdict[tuple[str, str], _Shard] = defaultdict(_Shard)

    def read(self, stream: str, shard_id: str, position: Position) -> Read:
        """Return what follows `position`, from an earlier read where there is one.

        Raise what boto3 raises; the position can then be read again, with a new iterator.
        """
        shard = self._shards[stream, shard_id]
        with shard.lock:
            known = shard.reads.get(position)
            if known is not None and (known.records or known.ended or time.monotonic() - known.at < FRESH_SECONDS):
                return known
            # Popped, so that one that has expired is not tried again; LATEST is a place only with its iterator.
            iterator = shard.iterators.pop(position, "") or self._iterator(stream, shard_id, position)
            answer = self._kinesis.get_records(ShardIterator=iterator, Limit=READ_RECORDS)
            found = _read(answer, position)
            _keep(shard.reads, position, found)
            if found.position != position and position.kind == "LATEST":
                _keep(shard.iterators, position, iterator)
            if not found.ended:
                _keep(shard.iterators, found.position, answer["NextShardIterator"])
            return found

    def is_gone(self, stream: str, shard_id: str) -> bool:
        """Tell whether the stream is there and that shard is not: it has nothing more to read."""
        try:
            shards = self._kinesis.list_shards(StreamName=stream)["Shards"]
        except (BotoCoreError, ClientError):
            return False
        return shard_id not in {shard["ShardId"] for shard in shards}

    def _iterator(self, stream: str, shard_id: str, position: Position) -> str:
        where = {"ShardIteratorType": position.kind}
        if position.sequence_number:
            where["StartingSequenceNumber"] = position.sequence_number
        answer = self._kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, **where)
        iterator: str = answer["ShardIterator"]
        return iterator


def _read(answer: Any, position: Position) -> Read:
    records = tuple(
        Record(row["SequenceNumber"], row["PartitionKey"], row["Data"], row["ApproximateArrivalTimestamp"].timestamp())
        for row in answer["Records"]
    )
    if records:
        position = Position("AFTER_SEQUENCE_NUMBER", records[-1].sequence_number)
    return Read(records, position, not answer.get("NextShardIterator"), time.monotonic())


def _keep(places: OrderedDict[Position, Any], position: Position, value: Any) -> None:
    places[position] = value
    while len(places) > KEPT_READS:
        places.popitem(last=False)
