"""The archive: compressed JSON lines in S3, one for each (cell, sequence, index); an object is never overwritten.

An object is named after the hour of engine time, the cell, the timeline, the shard, its first and last (sequence,
index), and a digest of its lines: an object of the same name has the same content. What a retry or a bisected batch
writes may overlap what is there; `read_archive` takes each line once.
"""

import gzip
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from exchange.deliveries import Delivery
from exchange.stream import StreamRecord
from exchange.times import time_text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "executions"
ALREADY_THERE = 412
_HOUR = slice(0, len("2026-11-22T07"))


class ArchiveLine(Struct, frozen=True, omit_defaults=True):
    """One command (index 0) or event as it was journaled, with the batch that journaled it; `chain` is in hex."""

    timeline: int
    cell: int
    sequence: int
    index: int
    time: int
    epoch: int
    batch_id: str
    chain: str
    content: Raw
    poisoned: bool = False
    trace: str = ""

    @property
    def place(self) -> tuple[int, int, int, int]:
        """The line's place in the archive: (timeline, cell, sequence, index)."""
        return self.timeline, self.cell, self.sequence, self.index


@dataclass(frozen=True, slots=True)
class ArchiveObject:
    """One object to be stored; `sources` are the positions of the records that it was made from."""

    key: str
    body: bytes
    sources: frozenset[int]


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of one batch of deliveries: `failed` maps sequence numbers to reasons."""

    stored: int
    already_there: int
    failed: dict[str, str]


class ArchiveConflict(Exception):  # noqa: N818 - a finding about the archive
    """Two objects disagree about what happened at one place."""


_encoder = Encoder()
_line_decoder = Decoder(ArchiveLine)


def lines_of(record: StreamRecord) -> Iterator[ArchiveLine]:
    """Return the lines of one stream record, each command before its events."""
    for entry in record.entries:
        contents = [(0, entry.command), *entry.events] if entry.has_command else entry.events
        for index, content in contents:
            yield ArchiveLine(
                record.timeline,
                record.cell,
                entry.sequence,
                index,
                entry.time,
                record.epoch,
                record.batch_id,
                record.chain,
                content,
                entry.poisoned,
                entry.trace,
            )


def objects_of(shard: str, records: Sequence[StreamRecord]) -> list[ArchiveObject]:
    """Return the objects that hold these records of one shard: one for each timeline, cell and hour among them."""
    groups: dict[tuple[int, int, str], set[tuple[int, int, bytes]]] = defaultdict(set)
    sources: dict[tuple[int, int, str], set[int]] = defaultdict(set)
    for position, record in enumerate(records):
        for line in lines_of(record):
            group = (line.timeline, line.cell, time_text(line.time)[_HOUR])
            groups[group].add((line.sequence, line.index, _encoder.encode(line)))
            sources[group].add(position)
    return [_object(shard, group, sorted(lines), frozenset(sources[group])) for group, lines in groups.items()]


def store(client: "S3Client", bucket: str, item: ArchiveObject) -> bool:
    """Store one object unless it is there already; return whether it was stored by this call.

    Raise botocore's `ClientError` or `BotoCoreError` when it is not known to be there.
    """
    try:
        client.put_object(Bucket=bucket, Key=item.key, Body=item.body, ContentType="application/gzip", IfNoneMatch="*")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == ALREADY_THERE:
            return False
        raise
    return True


def archive(client: "S3Client", bucket: str, received: Sequence[Delivery]) -> Archived:
    """Store all that can be of one batch of deliveries; what fails keeps nothing else from being stored."""
    failed = {delivery.sequence_number: delivery.poison for delivery in received if delivery.record is None}
    stored = already_there = 0
    for shard in dict.fromkeys(delivery.shard for delivery in received):
        sound = [d for d in received if d.shard == shard and d.record is not None]
        for item in objects_of(shard, [d.record for d in sound if d.record is not None]):
            try:
                written = store(client, bucket, item)
            except (ClientError, BotoCoreError) as error:
                failed |= {sound[position].sequence_number: str(error) for position in item.sources}
            else:
                stored += written
                already_there += not written
    return Archived(stored, already_there, failed)


def read_archive(objects: Iterable[bytes]) -> list[ArchiveLine]:
    """Return every line of the objects' bodies once, ordered by place.

    Raise `ArchiveConflict` when two lines at one place differ.
    """
    found: dict[tuple[int, int, int, int], ArchiveLine] = {}
    for body in objects:
        for text in gzip.decompress(body).splitlines():
            line = _line_decoder.decode(text)
            known = found.setdefault(line.place, line)
            if known != line:
                raise ArchiveConflict(f"two contents at {line.place}: {_encoder.encode(known)!r} and {text!r}")
    return [found[place] for place in sorted(found)]


def _object(
    shard: str, group: tuple[int, int, str], lines: list[tuple[int, int, bytes]], sources: frozenset[int]
) -> ArchiveObject:
    timeline, cell, hour = group
    text = b"".join(line + b"\n" for _, _, line in lines)
    first, last = (f"{sequence:019d}.{index:06d}" for sequence, index, _ in (lines[0], lines[-1]))
    digest = hashlib.blake2b(text, digest_size=8).hexdigest()
    key = f"{PREFIX}/hour={hour}/cell={cell}/timeline={timeline}/{shard}/{first}-{last}-{digest}.jsonl.gz"
    return ArchiveObject(key, gzip.compress(text, compresslevel=6, mtime=0), sources)
