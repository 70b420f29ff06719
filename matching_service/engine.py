"""The deterministic heart of a cell: a command and its time in, events out; no clock, no randomness, no I/O.

Where each rule lives: `rules` what an order must fulfil to be taken, `entering` the command that enters one, `pairing`
two that cancel each other, `amending` one that changes. `book` whom an order meets, its own account's orders and
icebergs included, `matching` how it trades and then rests or ends, `settlement` and `fees` who pays what, `prevention`
what is kept from trading, `endings` how an order ends unfilled, `canceling` which orders a cancel finds. `triggers`
which orders wait for a price, `triggering` how one becomes active, `timers` and `advancing` what happens at a time,
`finishing` all that follows where a command ends. `auctions` (`clearing`, `uncrossing`) the states of a market, `bands`
how far its price goes, `safeguards` what stops an account or everything, `administration` everything else.
"""

from collections.abc import Callable, Iterator
from typing import Any

from exchange.commands import (
    AdvanceTime,
    AmendOrder,
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    ChangeMarket,
    Command,
    CreateAccount,
    CreateApiKey,
    CreateAsset,
    CreateMarket,
    DeleteApiKey,
    HaltExchange,
    KillSwitch,
    PlacePair,
    ResumeExchange,
    Transfer,
)
from exchange.events import Event, IndicationChanged
from exchange.markets import Asset, Market
from exchange.orders import OrderRecord, PlaceOrder, Side
from matching_service import (
    administration,
    advancing,
    amending,
    canceling,
    endings,
    entering,
    invariants,
    pairing,
    records,
    rules,
    safeguards,
    snapshot,
)
from matching_service.finishing import finish
from matching_service.snapshot import Snapshot
from matching_service.state import Changes, Copy, Refusal, State
from matching_service.state_hash import StateHash

__all__ = ["Changes", "Copy", "Engine", "Refusal", "Snapshot"]


class Engine:
    """One cell's books, balances, settings and recent ids; everything in it changes only by `apply`."""

    __slots__ = ("_state",)

    def __init__(self, cell: int) -> None:
        self._state = State(cell)

    @classmethod
    def restore(cls, taken: Snapshot) -> "Engine":
        """Return the engine that `taken` was taken of."""
        engine = cls(taken.cell)
        engine._state = snapshot.restored(taken)
        return engine

    @property
    def cell(self) -> int:
        """The number of the cell."""
        return self._state.cell

    @property
    def sequence(self) -> int:
        """The sequence of the last applied command, 0 at birth."""
        return self._state.sequence

    @property
    def time(self) -> int:
        """The engine time of the last applied command, in microseconds."""
        return self._state.time

    def examine(self, command: Command) -> Copy | Refusal | None:
        """Say, right before `apply`, whether `command` was applied before or must leave no trace; change nothing."""
        return EXAMINE[type(command)](self._state, command)

    def apply(self, command: Command, time: int) -> list[Event]:
        """Apply a command that `examine` let pass, as the next sequence; return its events, indexed from 1."""
        state = self._state
        state.sequence += 1
        if time != state.time:
            state.advance(time)
        events = APPLY[type(command)](state, command)
        if state.unsettled:
            events += finish(state, events)
        return events

    def apply_poisoned(self, command: Command, time: int) -> list[Event]:
        """Take a sequence for a command that cannot be applied, and refuse it; only its ids are remembered."""
        self._state.sequence += 1
        if time != self._state.time:
            self._state.advance(time)
        self._state.remember(getattr(command, "request_id", ""))
        if isinstance(command, PlaceOrder):
            return entering.place_poisoned(self._state, command)
        if isinstance(command, PlacePair):
            return pairing.place_poisoned(self._state, command)
        if isinstance(command, Transfer):
            administration.note_transfer(self._state, command)
        return [endings.refused("engine.refused")]

    def check(self, order: PlaceOrder) -> str | None:
        """Return the code with which the order would be rejected now, None if it would be taken; change nothing."""
        return entering.check(self._state, order)

    def assert_sound(self, changes: Changes) -> None:
        """Raise `Violation` where what changed last is not what a cell can be."""
        invariants.check(changes, self._state.markets)

    def take_changes(self) -> Changes:
        """Return what changed since the last call: the engine's own objects, to be read before the next command."""
        return self._state.take_changes()

    def record(self, order_id: str) -> OrderRecord | None:
        """Return an open order as it stands."""
        order = self._state.orders.get(order_id)
        return None if order is None else order.record()

    def open_records(self) -> Iterator[OrderRecord]:
        """Return every open order as it stands, in no particular order."""
        return (order.record() for order in self._state.orders.values())

    def levels(self) -> Iterator[tuple[str, Side, int, int, int]]:
        """Return every price level as the book shows it: symbol, side, price in ticks, lots, number of orders."""
        for symbol, market in self._state.markets.items():
            for side, half in ((Side.BUY, market.book.bids), (Side.SELL, market.book.asks)):
                for key, level in half.levels.items():
                    shown = [order.shown_lots for order in level.orders if order.ended is None]
                    yield symbol, side, abs(key), sum(shown), len(shown)

    def subjects(self) -> list[OrderRecord]:
        """Return the orders that the last command about orders entered, canceled or amended: two for a pair."""
        return [order.record() for order in self._state.subjects]

    def subject(self) -> OrderRecord:
        """Return the order that was entered, canceled or amended last, as it stands."""
        return self._state.subjects[-1].record()

    def next_timer(self) -> int | None:
        """Return from when on an `AdvanceTime` is owed, None while nothing waits for one."""
        state = self._state
        is_owed = any(market not in state.auctions for market in state.unsettled)
        return state.time if is_owed else state.timers.next()

    def asset(self, name: str) -> Asset:
        """Return an asset that exists."""
        return self._state.assets[name].asset

    def market(self, symbol: str) -> Market:
        """Return a market that exists."""
        return self._state.markets[symbol].settings

    def markets(self) -> list[Market]:
        """Return every market."""
        return [market.settings for market in self._state.markets.values()]

    def indications(self) -> Iterator[IndicationChanged]:
        """Return what each auction that runs would do now."""
        for market in self._state.auctions:
            figures = market.figures
            found = (figures.indicative_ticks, figures.indicative_lots, figures.surplus_lots)
            yield IndicationChanged(market.settings.symbol, *found)

    def remembers(self, identifier: str) -> bool:
        """Say whether the id of an order or a transfer is among the recent ones."""
        return identifier in self._state.recent_ids.sequences

    def snapshot(self) -> Snapshot:
        """Return the whole state, as `restore` takes it."""
        return snapshot.taken(self._state)

    def state_records(self) -> Iterator[tuple[str, bytes]]:
        """Return every record of the state with its key, for hashing; equal states have equal records."""
        return records.records(self._state)

    def state_hash(self) -> StateHash:
        """Return the hash of the state, made from nothing; it follows what is applied by its own `update`."""
        return StateHash(self._state)


EXAMINE: dict[type[Command], Callable[[State, Any], Copy | Refusal | None]] = {
    PlaceOrder: rules.examine_order,
    PlacePair: pairing.examine_pair,
    AmendOrder: amending.examine_amend,
    CancelOrder: canceling.examine_cancel,
    CancelOrders: canceling.examine_cancels,
    AdvanceTime: advancing.examine_time,
    CreateAsset: administration.examine_asset,
    CreateAccount: administration.examine_account,
    Transfer: administration.examine_transfer,
    CreateApiKey: administration.examine_created_key,
    DeleteApiKey: administration.examine_deleted_key,
    CreateMarket: administration.examine_created_market,
    ChangeMarket: administration.examine_changed_market,
    CancelAllAfter: safeguards.examine_of_account,
    ChangeAccount: safeguards.examine_of_account,
    KillSwitch: safeguards.examine_of_account,
    HaltExchange: safeguards.examine_of_exchange,
    ResumeExchange: safeguards.examine_of_exchange,
}
"""What is asked before a command is applied."""
APPLY: dict[type[Command], Callable[[State, Any], list[Event]]] = {
    PlaceOrder: entering.place,
    PlacePair: pairing.place_pair,
    AmendOrder: amending.amend_order,
    CancelOrder: canceling.cancel_order,
    CancelOrders: canceling.cancel_orders,
    AdvanceTime: advancing.advance_time,
    CreateAsset: administration.create_asset,
    CreateAccount: administration.create_account,
    Transfer: administration.transfer,
    CreateApiKey: administration.create_api_key,
    DeleteApiKey: administration.delete_api_key,
    CreateMarket: administration.create_market,
    ChangeMarket: administration.change_market,
    CancelAllAfter: safeguards.cancel_all_after,
    ChangeAccount: safeguards.change_account,
    KillSwitch: safeguards.kill,
    HaltExchange: safeguards.halt_exchange,
    ResumeExchange: safeguards.resume_exchange,
}
"""What a command does."""
