"""A Kinesis stream in memory with what AWS documents and the emulator leaves out: closed parents, lost replies.

A shard that was split or merged gives what it holds and then no further iterator; its children name it.
"""

from collections import deque
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

LOST_REPLY = "the reply is lost"


class Stream:
    """One stream: `faults` befall the coming calls of get_records, each once; None lets one pass."""

    def __init__(self, name: str, shards: int) -> None:
        self.name = name
        self.created = datetime(2026, 11, 22, tzinfo=UTC)
        self.faults: deque[str | None] = deque()
        self.calls: list[str] = []
        self._numbers = 0
        self._shards: dict[str, dict[str, Any]] = {}
        self._iterators: dict[str, tuple[str, int]] = {}
        for _ in range(shards):
            self.add()

    def add(self, *parents: str) -> str:
        """Open a shard, the child of these, which end with what they hold."""
        shard_id = f"shardId-{len(self._shards):012}"
        self._shards[shard_id] = {"parents": parents, "records": [], "closed": False}
        for parent in parents:
            self._shards[parent]["closed"] = True
        return shard_id

    def put(self, shard_id: str, data: bytes, key: str = "key") -> None:
        """Put a record in a shard."""
        self._numbers += 1
        self._shards[shard_id]["records"].append((f"{self._numbers:020}", key, data))

    def trim(self, shard_id: str) -> None:
        """Let a shard and what it held reach the end of its retention."""
        del self._shards[shard_id]

    def made_anew(self) -> None:
        """Delete the stream and make it again: other records, the same names."""
        self.created = datetime(2026, 11, 23, tzinfo=UTC)
        for shard in self._shards.values():
            shard["records"] = []
        self._iterators.clear()

    def describe_stream_summary(self, *, StreamName: str) -> Any:  # noqa: N803
        """As AWS does."""
        assert StreamName == self.name
        self.calls.append("describe")
        return {"StreamDescriptionSummary": {"StreamCreationTimestamp": self.created}}

    def list_shards(self, **arguments: Any) -> Any:
        """As AWS does, two to a page."""
        self.calls.append("list")
        names = sorted(self._shards)
        after = arguments.get("NextToken", "")
        left = [name for name in names if name > after]
        answer: dict[str, Any] = {"Shards": [self._listed(name) for name in left[:2]]}
        return answer | ({"NextToken": left[1]} if len(left) > 2 else {})

    def get_shard_iterator(self, **arguments: Any) -> Any:
        """As AWS does."""
        shard_id = arguments["ShardId"]
        if shard_id not in self._shards:
            raise refusal("ResourceNotFoundException")
        records = self._shards[shard_id]["records"]
        place = 0
        if arguments["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            after = arguments["StartingSequenceNumber"]
            place = sum(number <= after for number, _, _ in records)
        return {"ShardIterator": self._iterator(shard_id, place)}

    def get_records(self, *, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        """As AWS does."""
        self.calls.append("get")
        fault = self.faults.popleft() if self.faults else None
        if fault == LOST_REPLY:
            raise ReadTimeoutError(endpoint_url="kinesis")
        if fault is not None:
            raise refusal(fault)
        if ShardIterator not in self._iterators:
            raise refusal("ExpiredIteratorException")
        shard_id, place = self._iterators[ShardIterator]
        if shard_id not in self._shards:
            raise refusal("ResourceNotFoundException")
        shard = self._shards[shard_id]
        found = shard["records"][place : place + min(Limit, 2)]
        place += len(found)
        left = len(shard["records"]) - place
        return {
            "Records": [{"SequenceNumber": number, "PartitionKey": key, "Data": data} for number, key, data in found],
            "NextShardIterator": None if shard["closed"] and not left else self._iterator(shard_id, place),
            "MillisBehindLatest": 1000 * left,
        }

    def _listed(self, name: str) -> dict[str, Any]:
        names = ("ParentShardId", "AdjacentParentShardId")
        return {"ShardId": name, **dict(zip(names, self._shards[name]["parents"], strict=False))}

    def _iterator(self, shard_id: str, place: int) -> str:
        iterator = f"iterator-{len(self._iterators)}"
        self._iterators[iterator] = (shard_id, place)
        return iterator


def refusal(code: str) -> ClientError:
    """An error answer of AWS."""
    return ClientError({"Error": {"Code": code, "Message": code}}, "GetRecords")
