"""The records of one stream on disk, in the order in which they entered; what is done with them others decide.

The emulator keeps its streams in memory: what stands here is put back into the next one. A file holds one JSON line a
record, and one for what became of it: where the stream put it, or that the stream refused it.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream has a record; `created` is when that stream was made, in microseconds."""

    created: int
    shard_id: str
    sequence_number: str


@dataclass(frozen=True, slots=True)
class Kept:
    """One record; `data` is base64, as it is sent; without a place nobody knows whether the stream has it."""

    key: str
    data: str
    place: Place | None = None


class KeptRecords:
    """One file of records; a record is on the disk when `add` has returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[int, Kept] = _read(path) if path.exists() else {}
        self._next = max(self._records, default=0) + 1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def records(self) -> list[Kept]:
        """Return all that is kept, oldest first."""
        return [self._records[number] for number in sorted(self._records)]

    def add(self, key: str, data: str) -> int:
        """Keep a record, and return its number here."""
        number = self._next
        self._next += 1
        self._records[number] = Kept(key, data)
        self._write([number, key, data])
        os.fsync(self._file)
        return number

    def placed(self, number: int, place: Place) -> None:
        """Note where the stream put a record."""
        self._records[number] = replace(self._records[number], place=place)
        self._write([number, place.created, place.shard_id, place.sequence_number])

    def refused(self, number: int) -> None:
        """Forget a record that the stream did not take."""
        del self._records[number]
        self._write([number])

    def rewrite(self, records: list[Kept]) -> None:
        """Keep these, and nothing else."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            fresh.chmod(0o600)
            for number, kept in enumerate(records, 1):
                file.write(_line([number, kept.key, kept.data]))
                if kept.place is not None:
                    file.write(_line([number, kept.place.created, kept.place.shard_id, kept.place.sequence_number]))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._records = dict(enumerate(records, 1))
        self._next = len(records) + 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, values: list[Any]) -> None:
        os.write(self._file, _line(values).encode())


def _line(values: list[Any]) -> str:
    return json.dumps(values, separators=(",", ":")) + "\n"


def _read(path: Path) -> dict[int, Kept]:
    """Read a file back; a last line that was not written whole is of a record that nobody was promised."""
    found: dict[int, Kept] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            number, *values = json.loads(line)
        except ValueError:
            continue
        if len(values) == 2:
            found[number] = Kept(*values)
        elif not values:
            found.pop(number, None)
        elif number in found:
            found[number] = replace(found[number], place=Place(*values))
    return found
