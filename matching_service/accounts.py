"""Balances and who holds them: what is available, what is held and for whom; it never reads a clock or a store."""

from collections.abc import Iterator
from dataclasses import dataclass, field

FEES = "fees"
"""The account that earns the fees; one like any other, there from the beginning."""
EXTERNAL = "external"
"""The other side of every transfer: no account that anybody could name, and the only balance below zero."""


@dataclass(slots=True, eq=False)
class Balance:
    """What an account has of one asset, in its units; `noted` is the sequence at which a batch last noted its change.

    A slotted class and no msgspec Struct like an order: it is mostly written, and a write is 9 ns instead of 35.
    """

    account_id: str
    asset: str
    available: int = 0
    held: int = 0
    noted: int = 0


@dataclass(slots=True, eq=False)
class Account:
    """One account; `created_sequence` is 0 for the account of the fees."""

    account_id: str
    name: str
    status: str
    created_sequence: int


@dataclass(slots=True, eq=False)
class Trader:
    """An account in one market: its two balances there, and the ids of its open orders."""

    account_id: str
    base: Balance
    quote: Balance
    order_ids: set[str] = field(default_factory=set)


class Accounts:
    """Every account and every balance of a cell."""

    __slots__ = ("_balances", "by_id")

    def __init__(self) -> None:
        self.by_id = {FEES: Account(FEES, FEES, "active", 0)}
        self._balances: dict[str, dict[str, Balance]] = {}

    def balance(self, account_id: str, asset: str) -> Balance:
        """Return the one balance of this account and asset, a new one of zero where there was none."""
        balances = self._balances.setdefault(account_id, {})
        balance = balances.get(asset)
        if balance is None:
            balance = balances[asset] = Balance(account_id, asset)
        return balance

    def balances(self) -> Iterator[Balance]:
        """Return every balance that is not zero, by account and asset."""
        for _, balances in sorted(self._balances.items()):
            for _, balance in sorted(balances.items()):
                if balance.available or balance.held:
                    yield balance
