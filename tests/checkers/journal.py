"""Invariant I6: sequences without gaps, epochs that only grow, an unbroken chain; and what a journal says happened."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec import Raw, Struct
from msgspec.json import Decoder


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One row of the journal of a cell, its commands and events as the text that was hashed."""

    cell: int
    first_sequence: int
    last_sequence: int
    batch_id: str
    epoch: int
    last_time: int
    commands: str
    events: str
    chain: bytes
    state_hash: bytes | None = None


class _Command(Struct, array_like=True):
    sequence: int
    time: int
    content: Raw
    poisoned: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """One command (index 0) or event, as whoever copies the journal must have it."""

    time: int
    epoch: int
    batch_id: str
    chain: str
    content: bytes
    poisoned: bool


Place = tuple[int, int, int]
"""(cell, sequence, index)"""

_commands_decoder = Decoder(list[_Command])
_events_decoder = Decoder(list[list[Raw]])


def journal_problems(rows: Iterable[JournalRow], fence: tuple[int, int] | None = None) -> Iterator[str]:
    """Tell what is wrong with the journal of one cell, rows in order; `fence` is its (epoch, last_sequence)."""
    sequence = epoch = time = 0
    chain = bytes(32)
    batches: set[str] = set()
    for row in rows:
        place = f"I6: batch {row.first_sequence}-{row.last_sequence}"
        if row.first_sequence != sequence + 1:
            yield f"{place} follows {sequence}"
        if row.epoch < epoch:
            yield f"{place} has epoch {row.epoch} after {epoch}"
        if row.batch_id in batches:
            yield f"{place} has the id of another batch"
        link = hashlib.blake2b(chain + row.commands.encode() + b"\n" + row.events.encode(), digest_size=32).digest()
        if row.chain != link:
            yield f"{place} breaks the chain"
        yield from (f"{place}: {problem}" for problem in _content_problems(row, time))
        sequence, epoch, time, chain = row.last_sequence, row.epoch, row.last_time, row.chain
        batches.add(row.batch_id)
    if fence is not None and (fence[1] != sequence or fence[0] < epoch):
        yield f"I6: the fence stands at {fence}, the journal at {(epoch, sequence)}"


def happened(rows: Iterable[JournalRow]) -> dict[Place, Happened]:
    """Return everything that the rows say, by its place."""
    found: dict[Place, Happened] = {}
    for row in rows:
        for command, events in zip(
            _commands_decoder.decode(row.commands), _events_decoder.decode(row.events), strict=True
        ):
            for index, content in enumerate([command.content, *events]):
                found[row.cell, command.sequence, index] = Happened(
                    command.time, row.epoch, row.batch_id, row.chain.hex(), bytes(content), command.poisoned
                )
    return found


def _content_problems(row: JournalRow, time: int) -> Iterator[str]:
    commands = _commands_decoder.decode(row.commands)
    if [one.sequence for one in commands] != list(range(row.first_sequence, row.last_sequence + 1)):
        yield "its commands have other sequences"
    if len(_events_decoder.decode(row.events)) != len(commands):
        yield "it has not one list of events for each command"
    times = [time, *(one.time for one in commands)]
    if times != sorted(times):
        yield "its time goes back"
    if times[-1] != row.last_time:
        yield "its last_time is not that of its last command"
