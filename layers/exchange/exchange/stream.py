"""The records of the `executions` stream: their form, their bytes and their parts; it never reads or writes a stream.

One record carries all that one batch did to one symbol (or to one account, or to the cell itself), in one part or
several. Commands and events are kept as the bytes that were journaled, so that a consumer passes on unharmed what a
later build has added to them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from exchange.commands import Command
from exchange.events import Event

VERSION = 1
MAX_RECORD_BYTES = 500_000
SYSTEM_KEY = "system"
NO_COMMAND = Raw(b"null")
_LARGEST_PART = 10**9


class PoisonRecord(ValueError):  # noqa: N818 - a verdict on the record, not an error of ours
    """What the stream delivered is no record of this version; it will not become one by trying again."""


class StreamEntry(Struct, frozen=True, omit_defaults=True):
    """What one command did under one key: `events` are `(index, event)`, index counting from 1 over all keys.

    `command` is `NO_COMMAND` where another record, or an earlier part of this one, carries that of the sequence.
    """

    sequence: int
    time: int
    command: Raw
    events: list[tuple[int, Raw]]
    poisoned: bool = False
    trace: str = ""

    @property
    def has_command(self) -> bool:
        """Whether this entry carries the command of its sequence."""
        return self.command != NO_COMMAND


class StreamRecord(Struct, frozen=True, kw_only=True):
    """What one batch did under one key, part `part` of `parts`.

    `chain` is the batch's, in hex. `orders` are the documents of the orders as they stood after the batch, `trades`
    those of its trades; both are empty where old history is published again only for the archive.
    """

    version: int = VERSION
    timeline: int
    cell: int
    epoch: int
    batch_id: str
    key: str
    part: int = 1
    parts: int = 1
    first_sequence: int
    last_sequence: int
    chain: str
    entries: list[StreamEntry]
    orders: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []


class _Head(Struct):
    version: int


_encoder = Encoder()
_decoder = Decoder(StreamRecord)
_head_decoder = Decoder(_Head)


def account_key(account_id: str) -> str:
    """Return the key of what concerns one account and no symbol."""
    return f"account/{account_id}"


def partition_key(record: StreamRecord) -> str:
    """Return the key that keeps the records of one symbol, or of one account, in one shard and in order."""
    return record.key


def entry_of(
    sequence: int,
    time: int,
    command: Command | None,
    events: Iterable[tuple[int, Event]],
    poisoned: bool = False,
    trace: str = "",
) -> StreamEntry:
    """Build an entry from a command and its `(index, event)` pairs."""
    return StreamEntry(
        sequence,
        time,
        NO_COMMAND if command is None else Raw(_encoder.encode(command)),
        [(index, Raw(_encoder.encode(event))) for index, event in events],
        poisoned,
        trace,
    )


def encode(record: StreamRecord) -> bytes:
    """Return the bytes of a record."""
    return _encoder.encode(record)


def decode(data: bytes) -> StreamRecord:
    """Return the record that `data` holds; raise `PoisonRecord` when it is none of this version."""
    try:
        version = _head_decoder.decode(data).version
        if version != VERSION:
            raise PoisonRecord(f"a stream record of version {version}, not {VERSION}")
        return _decoder.decode(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise PoisonRecord(f"not a stream record: {error}") from None


def payloads(record: StreamRecord, max_bytes: int = MAX_RECORD_BYTES) -> list[bytes]:
    """Return the bytes of each part of a record, in order; none is longer than `max_bytes`."""
    whole = encode(record)
    return [whole] if len(whole) <= max_bytes else [encode(part) for part in parts(record, max_bytes)]


def parts(record: StreamRecord, max_bytes: int = MAX_RECORD_BYTES) -> list[StreamRecord]:
    """Split a record into parts of at most `max_bytes` each, in order; a record that fits is its only part.

    Each part carries whole entries, but for an entry too large, which goes on in the next part without its command.
    Raise `ValueError` when a single command, event or document is larger than a part.
    """
    if len(encode(record)) <= max_bytes:
        return [record]
    empty = replace(record, part=_LARGEST_PART, parts=_LARGEST_PART, entries=[], orders=[], trades=[])
    room = max_bytes - len(encode(empty))
    loads = list(_loads(_pieces(record, room), room))
    return [
        replace(empty, part=number, parts=len(loads), **_by_field(load)) for number, load in enumerate(loads, start=1)
    ]


_Piece = tuple[str, Any]
"""The field of a record and one item of it."""


def _pieces(record: StreamRecord, room: int) -> Iterator[_Piece]:
    for entry in record.entries:
        for fragment in _fragments(entry, room):
            yield "entries", fragment
    for trade in record.trades:
        yield "trades", trade
    for order in record.orders:
        yield "orders", order


def _fragments(entry: StreamEntry, room: int) -> Iterator[StreamEntry]:
    if len(_encoder.encode(entry)) < room:
        yield entry
        return
    while True:
        left = room - len(_encoder.encode(replace(entry, events=[]))) - 1
        count = _count_that_fits(entry.events, left)
        if count == 0 and not entry.has_command:
            raise ValueError(f"an event of sequence {entry.sequence} is larger than a part of a stream record")
        yield replace(entry, events=entry.events[:count])
        entry = replace(entry, command=NO_COMMAND, events=entry.events[count:])
        if not entry.events:
            return


def _count_that_fits(events: Sequence[tuple[int, Raw]], left: int) -> int:
    for count, event in enumerate(events):
        left -= len(_encoder.encode(event)) + 1
        if left < 0:
            return count
    return len(events)


def _loads(pieces: Iterable[_Piece], room: int) -> Iterator[list[_Piece]]:
    load: list[_Piece] = []
    left = room
    for piece in pieces:
        size = len(_encoder.encode(piece[1])) + 1
        if size > room:
            raise ValueError(f"one item of {piece[0]} is larger than a part of a stream record")
        if size > left:
            yield load
            load, left = [], room
        load.append(piece)
        left -= size
    yield load


def _by_field(load: list[_Piece]) -> dict[str, list[Any]]:
    return {field: [item for name, item in load if name == field] for field in ("entries", "orders", "trades")}
