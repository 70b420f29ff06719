"""Runs random commands of every kind with every option on the engine and on the naive model, and compares them."""

import random
from collections import defaultdict
from typing import Any

from exchange.commands import AdvanceTime, AmendOrder, Command, Journaled
from exchange.markets import FeeTier, ReferencePolicy
from exchange.orders import OPEN_STATUSES, PlaceOrder, Side
from matching_service.book import Order
from matching_service.engine import Changes, Engine, Refusal
from matching_service.levels import LevelBook
from tests.engines import TIME, Desk, market, rows
from tests.naive_ledger import NaiveOrder
from tests.naive_tiers import DAY
from tests.naive_waiting import NaiveWhole
from tests.naive_wishes import ACCOUNTS, Hour, random_command

SETTINGS: tuple[dict[str, Any], ...] = (
    {"min_notional": 300, "max_quantity": 30, "maker_fee_rate": 1_000_000, "taker_fee_rate": 2_000_000},
    {"maker_fee_rate": 0, "taker_fee_rate": 333_333_333},
    {"price_band": 30_000_000, "volatility_auction_ms": 50, "maker_fee_rate": 1_000_000, "taker_fee_rate": 2_000_000},
    {
        "price_band": 50_000_000,
        "reference": ReferencePolicy.LAST_AUCTION,
        "maker_fee_rate": -200_000_000,
        "taker_fee_rate": 333_333_333,
        "fee_tiers": (FeeTier(1000, -100_000_000, 100_000_000), FeeTier(3000, 0, 0)),
    },
)
"""The first two markets never leave the state of being open but by a command."""


class Machine:
    """One run; `balances` follows what each command changed, as the tables do."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.settings = SETTINGS[seed % len(SETTINGS)]
        self.engine = self.new_engine()
        self.naive = NaiveWhole(market(**self.settings), self.engine.sequence, created=ACCOUNTS)
        self.balances: dict[tuple[str, str], list[int]] = {}
        for balance in self.engine.snapshot().balances:
            self.naive.balances[balance.account_id, balance.asset] = [balance.available, balance.held]
            self.balances[balance.account_id, balance.asset] = [balance.available, balance.held]
        self.kept = self.engine.state_hash()
        self.levels = LevelBook(market(**self.settings))
        self.journal: list[tuple[Command, int]] = []
        self.time = TIME

    def new_engine(self) -> Engine:
        return Desk(" ".join(ACCOUNTS), funds=10_000, **self.settings).engine

    def run(self, commands: int) -> None:
        """Compare after each command; restore at intervals, and replay at the end."""
        for number in range(commands):
            self.time += self.chance.choices((0, 1000, 20_000, DAY // 2), (5, 20, 5, 1))[0]
            due = self.engine.next_timer()
            if due is not None and due <= self.time and self.chance.random() < 0.9:
                self.apply(AdvanceTime())
            known = [(order.placed.order_id, order.placed.account_id) for order in self.naive.open_orders()]
            self.apply(random_command(Hour(self.chance, number, self.time, known)))
            if number % 50 == 49:
                self.compare_state()
        again = self.new_engine()
        for command, time in self.journal:
            again.apply(command, time)
        assert dict(again.state_records()) == dict(self.engine.state_records())

    def apply(self, command: Command) -> None:
        verdict = self.engine.examine(command)
        if isinstance(verdict, Refusal):
            self.compare_refusal(command, verdict)
            return
        assert verdict is None
        checked = self.engine.check(command) if isinstance(command, PlaceOrder) else None
        expected = self.naive.at(command, self.time)

        events = self.engine.apply(command, self.time)

        assert rows(events) == expected, command
        if isinstance(command, PlaceOrder) and command.expire_time is None:
            assert checked == (expected[0][4] if expected[0][0] == "OrderRejected" else None)
        self.journal.append((command, self.time))
        changes = self.engine.take_changes()
        self.engine.assert_sound(changes)
        self.kept.update([Journaled(self.engine.sequence, self.time, command)], changes)
        self.compare_changes(changes)
        for event in events:
            self.levels.apply(event)
        self.compare_levels()

    def compare_refusal(self, command: Command, refusal: Refusal) -> None:
        """The only command here that leaves no trace asks for a price of an order that has none."""
        assert isinstance(command, AmendOrder)
        assert (refusal.code, refusal.field) == ("order.combination", "price")
        assert self.naive.orders[command.order_id].placed.price_ticks is None

    def compare_changes(self, changes: Changes) -> None:
        for balance in changes.balances:
            key = balance.account_id, balance.asset
            self.balances[key] = [balance.available, balance.held]
            assert self.balances[key] == self.naive.balance(*key)
        sums: dict[str, int] = defaultdict(int)
        for (_, asset), (available, held) in self.balances.items():
            sums[asset] += available + held
        assert set(sums.values()) == {0}
        for order in changes.orders:
            assert facts(order) == naive_facts(self.naive.orders[order.placed.order_id])

    def compare_levels(self) -> None:
        """What others see of the book is what the naive model shows; an open market is not crossed."""
        best: dict[Side, int] = {}
        for side, half in self.levels.halves.items():
            shown: dict[int, tuple[int, int]] = {}
            resting = self.naive.resting(side)
            for order in resting:
                lots, orders = shown.get(order.price, (0, 0))
                shown[order.price] = (lots + order.display, orders + 1)
            assert {key * half.sign: (level.quantity_lots, level.orders) for key, level in half.levels.items()} == shown
            best[side] = resting[0].price if resting else 10**9 * -half.sign
        assert self.naive.market.status != "open" or best[Side.BUY] < best[Side.SELL]

    def compare_state(self) -> None:
        """Everything, and once more after a restart."""
        snapshot = self.engine.snapshot()
        balances = {(b.account_id, b.asset): [b.available, b.held] for b in snapshot.balances}
        assert balances == {key: value for key, value in self.naive.balances.items() if any(value)}
        assert [record.placed.order_id for record, _ in snapshot.orders] == [
            order.placed.order_id for order in self.naive.open_orders()
        ]
        assert {(v.account_id, v.day): v.quote for v in snapshot.fee_volumes} == self.naive.volumes
        again = Engine.restore(snapshot)
        assert dict(again.state_records()) == dict(self.engine.state_records())
        assert again.next_timer() == self.engine.next_timer()
        assert self.kept.digest() == again.state_hash().digest()
        self.engine, self.kept = again, again.state_hash()


def facts(order: Order) -> tuple[Any, ...]:
    """What the tables say of an order."""
    record = order.record()
    is_open = record.status in OPEN_STATUSES
    return (
        record.placed, record.status, record.reason, record.filled_lots, record.remaining_lots, record.filled_quote,
        record.fee_base, record.fee_quote, record.prevented_lots, record.partner_id,
        record.displayed_lots if is_open else None, record.trigger_ticks if is_open else None,
    )  # fmt: skip


def naive_facts(order: NaiveOrder) -> tuple[Any, ...]:
    """What the naive model says of it."""
    is_open = order.status in OPEN_STATUSES
    return (
        order.placed, order.status, order.reason, order.filled, order.left, order.filled_quote,
        order.fees.get("BTC", 0), order.fees.get("USD", 0), order.prevented,
        None if order.partner is None else order.partner.placed.order_id,
        order.shown if is_open else None, order.trigger if is_open else None,
    )  # fmt: skip
