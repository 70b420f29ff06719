"""Invariant I3: every asset's ledger sums to zero, every balance equals its ledger and holds what open orders need."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

EXTERNAL = "external"
"""The other side of every transfer: the one account that may be below zero."""

Holder = tuple[str, str]
"""An account and an asset."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line of the double-entry ledger; `place` is its cell, sequence, index and line."""

    place: tuple[int, int, int, int]
    account_id: str
    asset: str
    amount: Decimal
    balance_after: Decimal


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What the tables say that an account has."""

    account_id: str
    asset: str
    available: Decimal
    held: Decimal


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An open order with the assets of its market."""

    order_id: str
    account_id: str
    symbol: str
    base: str
    quote: str
    side: str
    status: str
    price: Decimal | None
    remaining: Decimal
    partner_id: str | None = None

    @property
    def need(self) -> tuple[str, Decimal]:
        """The asset that it holds, and how much: a sell its base, a buy with a price what that costs."""
        if self.side == "sell":
            return self.base, self.remaining
        return self.quote, (self.price or Decimal(0)) * self.remaining


def ledger_problems(lines: Iterable[LedgerLine], balances: Iterable[BalanceRow]) -> Iterator[str]:
    """Tell what the ledger contradicts: itself, line by line in the order of places, or the balances."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    running: dict[Holder, Decimal] = defaultdict(Decimal)
    for line in sorted(lines, key=lambda one: one.place):
        sums[line.asset] += line.amount
        running[line.account_id, line.asset] += line.amount
        after = running[line.account_id, line.asset]
        if line.balance_after != after:
            yield f"I3: ledger line {line.place}: balance_after {line.balance_after}, but its lines make {after}"
    yield from (f"I3: the ledger of {asset} sums to {total}" for asset, total in sums.items() if total)
    found = {(row.account_id, row.asset): row.available + row.held for row in balances}
    for holder in sorted(running.keys() | found.keys()):
        has, should = found.get(holder, Decimal(0)), running.get(holder, Decimal(0))
        if has != should:
            yield f"I3: {holder} has {has}, but its ledger makes {should}"


def hold_problems(balances: Iterable[BalanceRow], orders: Iterable[OpenOrder]) -> Iterator[str]:
    """Tell which balances hold anything but what the open orders need, or are below zero.

    A pair, while both are open, needs what the larger of the two does.
    """
    needs: dict[Holder, Decimal] = defaultdict(Decimal)
    by_pair: dict[frozenset[str], list[OpenOrder]] = defaultdict(list)
    for order in orders:
        by_pair[frozenset((order.order_id, order.partner_id or order.order_id))].append(order)
    for legs in by_pair.values():
        asset, amount = max((leg.need for leg in legs), key=lambda need: need[1])
        needs[legs[0].account_id, asset] += amount
    for row in balances:
        holder = (row.account_id, row.asset)
        if row.held != needs.get(holder, 0):
            yield f"I3: {holder} holds {row.held}, but its open orders need {needs.get(holder, Decimal(0))}"
        needs.pop(holder, None)
        if row.held < 0 or (row.available < 0 and row.account_id != EXTERNAL):
            yield f"I3: {holder} is below zero: available {row.available}, held {row.held}"
    yield from (
        f"I3: {holder} has no balance, but its open orders need {need}" for holder, need in needs.items() if need
    )
