"""What a journal says about every order, request and balance after each sequence: its commands applied once more."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from exchange import amounts
from exchange.commands import Command, Journaled, PlacePair
from exchange.documents import Document, order_document
from exchange.events import CommandRefused, Event, OrderCanceled, OrderRejected, Trade
from exchange.markets import Market
from exchange.orders import OrderRecord, PlaceOrder
from matching_service.engine import Engine

Interval = tuple[int, int]
"""From one sequence to another, both included."""
Fill = tuple[str, str, str]
"""Trade id, price and quantity as printed."""
FOR_EVER = 2**62


@dataclass(slots=True)
class OrderHistory:
    """How an order stood, from the sequence that entered it; a record holds from its sequence until the next one."""

    market: Market
    sequences: list[int] = field(default_factory=list)
    records: list[OrderRecord] = field(default_factory=list)

    def document_at(self, sequence: int) -> Document:
        """Print the order as it stood after `sequence`."""
        return order_document(self.records[bisect_right(self.sequences, sequence) - 1], self.market)

    def interval_from(self, sequence: int) -> Interval | None:
        """Return how long the order stood as a change at `sequence` left it, None where nothing changed then."""
        place = bisect_right(self.sequences, sequence)
        if not place or self.sequences[place - 1] != sequence:
            return None
        return sequence, self.sequences[place] - 1 if place < len(self.sequences) else FOR_EVER


@dataclass(slots=True)
class Truth:
    """A journal in the form in which answers can be compared with it."""

    last_sequence: int = 0
    orders: dict[str, OrderHistory] = field(default_factory=dict)
    entered: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    requests: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    fills: dict[tuple[str, int], set[Fill]] = field(default_factory=lambda: defaultdict(set))
    refusals: dict[int, str] = field(default_factory=dict)
    canceled: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    balances: dict[str, dict[frozenset[Any], list[Interval]]] = field(default_factory=dict)
    """By account: every set of (asset, available, held) that it ever had, and when, oldest first."""


def truth_of(cell: int, journaled: Iterable[Journaled]) -> Truth:
    """Apply a whole journal, in order, to a new engine and note what came of it."""
    engine, truth, balances = Engine(cell), Truth(), _Balances()
    for entry in journaled:
        apply = engine.apply_poisoned if entry.poisoned else engine.apply
        events = apply(entry.command, entry.time)
        truth.last_sequence = entry.sequence
        _note_command(truth, entry.sequence, entry.command)
        _note_events(truth, engine, entry.sequence, events)
        _note_changes(truth, engine, entry.sequence, balances)
    truth.balances = balances.closed()
    return truth


def _note_command(truth: Truth, sequence: int, command: Command) -> None:
    if isinstance(command, PlacePair):
        truth.entered[command.first.order_id].append(sequence)
        truth.entered[command.second.order_id].append(sequence)
    elif isinstance(command, PlaceOrder):
        truth.entered[command.order_id].append(sequence)
    elif request_id := getattr(command, "request_id", ""):
        truth.requests[request_id].append(sequence)


def _note_events(truth: Truth, engine: Engine, sequence: int, events: list[Event]) -> None:
    for index, event in enumerate(events, 1):
        if isinstance(event, Trade):
            market = engine.market(event.symbol)
            fill = (
                f"{engine.cell}-{sequence}-{index}",
                market.price_text(event.price_ticks),
                market.quantity_text(event.quantity_lots),
            )
            truth.fills[event.taker_order_id, sequence].add(fill)
            truth.fills[event.maker_order_id, sequence].add(fill)
        elif isinstance(event, CommandRefused | OrderRejected):
            truth.refusals[sequence] = event.code
        elif isinstance(event, OrderCanceled):
            truth.canceled[sequence].append(event.order_id)


def _note_changes(truth: Truth, engine: Engine, sequence: int, balances: "_Balances") -> None:
    changes = engine.take_changes()
    for order in changes.orders:
        record = order.record()
        order_id = record.placed.order_id
        if order_id not in truth.orders:
            truth.orders[order_id] = OrderHistory(engine.market(record.placed.symbol))
        history = truth.orders[order_id]
        history.sequences.append(sequence)
        history.records.append(record)
    for balance in changes.balances:
        decimals = engine.asset(balance.asset).decimals
        texts = amounts.text(balance.available, decimals), amounts.text(balance.held, decimals)
        balances.change(sequence, balance.account_id, balance.asset, texts)


class _Balances:
    """The balances of every account as they change, and how long each set of them lasted."""

    def __init__(self) -> None:
        self._now: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        self._since: dict[str, int] = {}
        self._lasted: dict[str, dict[frozenset[Any], list[Interval]]] = defaultdict(lambda: defaultdict(list))

    def change(self, sequence: int, account_id: str, asset: str, texts: tuple[str, str]) -> None:
        """Note a balance as a command left it."""
        if self._since.get(account_id, 0) < sequence:
            self._close(account_id, sequence - 1)
            self._since[account_id] = sequence
        self._now[account_id][asset] = texts

    def closed(self) -> dict[str, dict[frozenset[Any], list[Interval]]]:
        """Return everything, the last sets lasting for ever."""
        for account_id in self._now:
            self._close(account_id, FOR_EVER)
        return self._lasted

    def _close(self, account_id: str, until: int) -> None:
        held = frozenset((asset, *texts) for asset, texts in self._now[account_id].items())
        self._lasted[account_id][held].append((self._since.get(account_id, 0), until))
