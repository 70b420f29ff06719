"""Accounts for load: created and funded through the administration of the exchange, so that no limit of one is met."""

import uuid
from dataclasses import dataclass

from client.credentials import Account, Credentials
from client.sdk import Client
from client.signing import Key

PAIRS = 8
"""A key may send 1,000 mutations a second: this many pairs of one seller and one buyer carry any rate measured here."""
DEPOSITS = {"USD": "1000000000", "BTC": "1000000", "ETH": "10000000", "SOL": "100000000"}
"""What each is given of each asset: enough for tens of millions of orders of `bench.orders`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One account that only sells and one that only buys, so that no order meets another of its own account."""

    seller: Account
    buyer: Account


def funded_pairs(known: Credentials, count: int = PAIRS) -> list[Pair]:
    """Create and fund `count` pairs."""
    with Client(known.base_url, known.account("admin").key) as admin:
        return [Pair(funded_account(admin), funded_account(admin)) for _ in range(count)]


def funded_account(admin: Client) -> Account:
    """Create one account with a key and money."""
    account_id = admin.create_account(f"bench-{uuid.uuid4().hex[:12]}")["account_id"]
    key = admin.create_api_key(account_id, ["read", "trade"])
    for asset, amount in DEPOSITS.items():
        admin.deposit(account_id, asset, amount, f"bench-{asset}")
    return Account(account_id, Key(key["api_key"], key["secret"]))
