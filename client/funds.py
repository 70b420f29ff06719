"""The funds of the demo's bots: watched, and topped up by the administrator before they run out; it never withdraws."""

import asyncio
import sys
import uuid
from decimal import Decimal

from client import credentials
from client.bots import LEVELS, Market
from client.sdk import Client, Rejected, Unavailable

QUOTING_ACCOUNT = "maker"
TAKING_ACCOUNTS = ("alice", "bob")
TOP_UP_S = 5.0
FLOOR_ORDERS = 4 * LEVELS
"""An account that could not pay this many orders of a market is given ten times as much."""


def top_up(known: credentials.Credentials, markets: list[Market]) -> list[str]:
    """Deposit what an account of the bots is about to run out of; return a line for each deposit."""
    lines = []
    with Client(known.base_url, known.account("admin").key) as admin:
        for name in (QUOTING_ACCOUNT, *TAKING_ACCOUNTS):
            account = known.account(name)
            with Client(known.base_url, account.key) as client:
                available = {entry["asset"]: Decimal(entry["available"]) for entry in client.balances()}
            for asset, floor in floors(markets).items():
                if available.get(asset, Decimal(0)) < floor:
                    admin.deposit(account.account_id, asset, str(10 * floor), f"demo-{uuid.uuid4().hex}")
                    lines.append(f"deposited {10 * floor} {asset} to {name}")
    return lines


def floors(markets: list[Market]) -> dict[str, Decimal]:
    """Return how much of each asset an account must have at least."""
    needed: dict[str, Decimal] = {}
    for market in markets:
        needed[market.base] = max(needed.get(market.base, Decimal(0)), FLOOR_ORDERS * market.order_quantity)
        value = (FLOOR_ORDERS * market.order_quantity * market.opening_price).to_integral_value()
        needed[market.quote] = needed.get(market.quote, Decimal(0)) + value
    return needed


async def keep_funded(known: credentials.Credentials, markets: list[Market], stop: asyncio.Event) -> None:
    """Look after the bots' funds every `TOP_UP_S`."""
    while not stop.is_set():
        try:
            for text in await asyncio.to_thread(top_up, known, markets):
                sys.stdout.write(text + "\n")
        except (Rejected, Unavailable) as error:
            sys.stdout.write(f"no funds added: {error}\n")
        await asyncio.sleep(TOP_UP_S)
