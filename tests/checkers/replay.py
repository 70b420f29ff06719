"""Invariant I14: journal and archive, replayed from nothing, make the same events and the state of the tables."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.json import Decoder, Encoder

from exchange.archive import ArchiveLine
from exchange.commands import Command
from matching_service import replica
from matching_service.database import LOADING, opened
from matching_service.engine import Engine
from tests.checkers.books import followed_book_problems
from tests.checkers.copies import happened_by_archive
from tests.checkers.database import cells, journal_rows, snapshot
from tests.checkers.hashes import full_hash
from tests.checkers.journal import Happened, Place, happened

MOST_TOLD = 20

_command_decoder: Decoder[Command] = Decoder(Command)
_encoder = Encoder()


def check_replay(dsn: str, lines: Iterable[ArchiveLine] | None = None) -> list[str]:
    """Return every difference between the tables and a replay of the journal, or of an archive's `lines`.

    Nothing may be on its way to the database, or to the archive, meanwhile.
    """
    archived = None if lines is None else dict(happened_by_archive(lines))
    found: list[str] = []
    with snapshot(dsn) as reader, opened(dsn, "", "checker", LOADING) as loader:
        for cell in cells(reader):
            hashes = {row.last_sequence: row.state_hash for row in journal_rows(reader, cell) if row.state_hash}
            history = happened(journal_rows(reader, cell)) if archived is None else archived
            engine = Engine(cell)
            of_cell = {place: it for place, it in history.items() if place[0] == cell}
            found += replay_problems(engine, of_cell, hashes)
            try:
                loaded = replica.load(loader, cell).engine
            except AssertionError as error:
                found.append(f"I14: the tables of cell {cell} are no state: {error}")
            else:
                found += state_problems(loaded, engine)
                found += followed_book_problems(of_cell, loaded.levels())
    return found


def replay_problems(engine: Engine, history: Mapping[Place, Happened], hashes: Mapping[int, bytes]) -> Iterator[str]:
    """Apply a whole history to a new engine and tell which commands do not make the events that it holds.

    `hashes` are those that the journal holds, by the sequence whose state they are of: each is made from nothing here.
    """
    for place in sorted(place for place in history if place[2] == 0):
        cell, sequence, _ = place
        it = history[place]
        if engine.sequence != sequence - 1:
            yield f"I14: sequence {sequence} follows {engine.sequence} in cell {cell}"
            return
        command = _command_decoder.decode(it.content)
        events = (engine.apply_poisoned if it.poisoned else engine.apply)(command, it.time)
        for index, event in enumerate(events, 1):
            known = history.get((cell, sequence, index))
            if known is None or known.content != _encoder.encode(event):
                yield f"I14: ({cell}, {sequence}, {index}) is replayed as {event}, but was {known}"
        if (cell, sequence, len(events) + 1) in history:
            yield f"I14: ({cell}, {sequence}) has more events than its replay"
        if sequence in hashes and hashes[sequence] != full_hash(engine.state_records()):
            yield f"I14: the state of the replay has another hash at {sequence} than the journal"


def state_problems(tables: Engine, replayed: Engine) -> Iterator[str]:
    """Tell which records differ between two states that should be one."""
    of_tables, of_replay = dict(tables.state_records()), dict(replayed.state_records())
    differing = sorted(key for key in of_tables.keys() | of_replay.keys() if of_tables.get(key) != of_replay.get(key))
    for key in differing[:MOST_TOLD]:
        yield f"I14: {key}: the tables make {of_tables.get(key)!r}, the replay {of_replay.get(key)!r}"
    if len(differing) > MOST_TOLD:
        yield f"I14: {len(differing) - MOST_TOLD} more records differ"
