"""Invariants I8, I9, I10: stream, archive and index hold exactly what the journal holds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exchange.archive import ArchiveLine
from exchange.stream import StreamRecord
from tests.checkers.journal import Happened, Place

Documents = Mapping[str, dict[str, Any]]
MOST_TOLD = 20


def stream_problems(journal: Mapping[Place, Happened], records: Iterable[StreamRecord]) -> Iterator[str]:
    """Tell how the stream differs from the journal; a record may be there more than once."""
    parts: dict[tuple[str, str, int], set[int]] = {}
    found: list[tuple[Place, Happened]] = []
    for record in records:
        parts.setdefault((record.batch_id, record.key, record.parts), set()).add(record.part)
        found += _of_record(record)
    for (batch_id, key, count), there in parts.items():
        if there != set(range(1, count + 1)):
            yield f"I8: of the record {key} of batch {batch_id} only the parts {sorted(there)} of {count} are there"
    yield from _differences("I8: the stream", journal, found)


def archive_problems(journal: Mapping[Place, Happened], lines: Iterable[ArchiveLine]) -> Iterator[str]:
    """Tell how the archive of one timeline differs from the journal."""
    yield from _differences("I9: the archive", journal, happened_by_archive(lines))


def happened_by_archive(lines: Iterable[ArchiveLine]) -> Iterator[tuple[Place, Happened]]:
    """Return what the lines of one timeline say, each with its place."""
    for line in lines:
        content = bytes(line.content)
        it = Happened(line.time, line.epoch, line.batch_id, line.chain, content, line.poisoned)
        yield (line.cell, line.sequence, line.index), it


def index_problems(kind: str, expected: Documents, found: Documents) -> Iterator[str]:
    """Tell how the documents of an index, by id, differ from those that the journal and its tables make."""
    for document_id in sorted(expected.keys() | found.keys()):
        should, has = expected.get(document_id), found.get(document_id)
        if has is None:
            yield f"I10: {kind} {document_id} is not in the index"
        elif should is None:
            yield f"I10: {kind} {document_id} is in the index and nowhere else"
        elif should != has:
            fields = sorted(name for name in should.keys() | has.keys() if should.get(name) != has.get(name))
            yield f"I10: {kind} {document_id} differs in {', '.join(fields)}"


def _of_record(record: StreamRecord) -> Iterator[tuple[Place, Happened]]:
    for entry in record.entries:
        contents = [*entry.events]
        if entry.has_command:
            contents.append((0, entry.command))
        for index, content in contents:
            place = (record.cell, entry.sequence, index)
            yield (
                place,
                Happened(entry.time, record.epoch, record.batch_id, record.chain, bytes(content), entry.poisoned),
            )


def _differences(
    name: str, journal: Mapping[Place, Happened], found: Iterable[tuple[Place, Happened]]
) -> Iterator[str]:
    there: set[Place] = set()
    for place, has in found:
        there.add(place)
        if place not in journal:
            yield f"{name} holds {place}, which never happened"
        elif journal[place] != has:
            yield f"{name} says at {place}: {has}, but it was {journal[place]}"
    missing = sorted(journal.keys() - there)
    yield from (f"{name} misses {place}" for place in missing[:MOST_TOLD])
    if len(missing) > MOST_TOLD:
        yield f"{name} misses {len(missing) - MOST_TOLD} more"
