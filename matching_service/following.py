"""The memory of a task that does not lead: it applies again what the journal says and compares; it decides nothing."""

from exchange import events as happenings
from exchange.commands import Journaled
from exchange.events import Event
from matching_service import journal
from matching_service.engine import Engine
from matching_service.journal import JournalRow
from matching_service.replica import Loaded


class Diverged(Exception):  # noqa: N818 - the operator's word for it
    """This memory and the journal do not agree: the one who has it stops, and never leads with it."""


class Unfit(Exception):  # noqa: N818 - the operator's word for it
    """This build cannot work with what is there: it must not lead, and whoever leads goes on."""


class Follower:
    """An engine as of the last batch that it has followed, and the chain of that batch."""

    def __init__(self, loaded: Loaded) -> None:
        self.engine: Engine = loaded.engine
        self.chain = loaded.chain
        self.state_hash = loaded.state_hash

    def loaded(self) -> Loaded:
        """Return the memory as it is now, for a leader to go on with."""
        return Loaded(self.engine, self.chain, self.state_hash)

    @property
    def sequence(self) -> int:
        """The sequence up to which the journal was followed."""
        return self.engine.sequence

    def follow(self, row: JournalRow) -> list[list[Event]]:
        """Apply one batch and return its events.

        Raise `Unfit` when this build must not apply it, `Diverged` when the outcome is not what was journaled; after
        that this memory is of no more use.
        """
        if row.version != journal.VERSION or row.rules_version not in journal.KNOWN_RULES:
            raise Unfit(f"the journal has format {row.version} and rules {row.rules_version} at {row.first_sequence}")
        if row.first_sequence != self.sequence + 1:
            raise Diverged(f"the journal goes on at {row.first_sequence}, this memory at {self.sequence + 1}")
        journaled = row.journaled()
        happened = [self._apply(entry) for entry in journaled]
        self.state_hash.update(journaled, self.engine.take_changes())
        chain = journal.chain_after(self.chain, row.commands_json.encode(), happenings.encoder.encode(happened))
        if chain != row.chain:
            raise Diverged(_difference(row, happened))
        if row.state_hash is not None and row.state_hash != self.state_hash.digest():
            raise Diverged(f"the state after {row.last_sequence} has another hash here than in the journal")
        self.chain = chain
        return happened

    def scrub(self, most: int) -> None:
        """Look at up to `most` records of the memory, others each time; raise `Diverged` where one has changed."""
        if key := self.state_hash.scrub(most):
            raise Diverged(f"{key} is in this memory what no command has made of it")

    def _apply(self, entry: Journaled) -> list[Event]:
        apply = self.engine.apply_poisoned if entry.poisoned else self.engine.apply
        try:
            return apply(entry.command, entry.time)
        except Exception as error:
            raise Diverged(f"{type(entry.command).__name__} at {entry.sequence} raises here: {error!r}") from error


def _difference(row: JournalRow, happened: list[list[Event]]) -> str:
    """Say where a batch differs first."""
    for sequence, (here, there) in enumerate(zip(happened, row.events(), strict=False), row.first_sequence):
        if here != there:
            return f"{sequence} makes other events here than the journal holds"
    return f"the chain of the batch that begins at {row.first_sequence} is another here than in the journal"
