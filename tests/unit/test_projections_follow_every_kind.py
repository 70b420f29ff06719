"""The committed copy after commands of every kind: what it has followed is what an engine as it is would show."""

import json
import random

import pytest

from exchange.commands import AdvanceTime, Command, Journaled
from exchange.events import Event
from matching_service import journal, seed
from matching_service.engine import Engine
from matching_service.journal import GENESIS, Batch
from matching_service.projections import MarketProjection, Projections
from matching_service.tables import RowWriter
from tests.random_commands import SYMBOLS, Commands

TIME = 1_763_797_044_000_000


class Followed:
    """A seeded engine and the copy that follows its batches."""

    def __init__(self) -> None:
        self.engine = Engine(1)
        self.rows = RowWriter(self.engine.market, self.engine.asset)
        self.copy = Projections(1, [])
        self.time = TIME
        self.batch(*seed.commands(1, "local"))

    def batch(self, *commands: Command) -> None:
        """Apply what the engine lets pass, with time going on first where a timer is due."""
        journaled, events = [], []
        timer = self.engine.next_timer()
        due: tuple[Command, ...] = (AdvanceTime(),) if timer is not None and timer <= self.time else ()
        for command in due + commands:
            if self.engine.examine(command) is None:
                events.append(self.engine.apply(command, self.time))
                journaled.append(Journaled(self.engine.sequence, self.time, command))
        if journaled:
            self.copy.apply(self._batch_of(journaled, events))

    def _batch_of(self, journaled: list[Journaled], events: list[list[Event]]) -> Batch:
        rows = self.rows.rows_of(journaled, events, self.engine.take_changes())
        return journal.batch_of(1, 1, GENESIS, journaled, events, rows)


def shown(market: MarketProjection) -> dict[str, object]:
    """What the copy shows of a market beside its past."""
    market.digest()
    book, ticker = json.loads(market.book_json(1000)), json.loads(market.ticker_json(TIME))
    names = ("best_bid", "best_ask", "indicative_price", "indicative_quantity")
    return {name: book[name] for name in ("bids", "asks", "checksum")} | {name: ticker.get(name) for name in names}


@pytest.mark.parametrize("number", range(6))
def test_a_followed_copy_shows_what_the_engine_would_show(number: int) -> None:
    chance = random.Random(number)
    followed = Followed()
    stream = Commands(chance, lambda: followed.time)
    for _ in range(150):
        followed.time += chance.choice((1, 1, 1_000, 10**6, 86_400 * 10**6))
        followed.batch(*stream.take(chance.randint(1, 20)))

        restored = Projections.restored(followed.engine)
        for symbol in SYMBOLS:
            assert shown(followed.copy.by_symbol[symbol]) == shown(restored.by_symbol[symbol])
