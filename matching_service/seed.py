"""What a new exchange begins with: assets, markets and accounts with funds, as ordinary idempotent commands."""

from exchange.amounts import MAX_DECIMALS, parse
from exchange.commands import Command, CreateAccount, CreateAsset, CreateMarket, Transfer
from exchange.markets import RATE_DECIMALS, Market, MarketStatus

DECIMALS = 8
ASSETS = ("USD", "BTC", "ETH", "SOL")
MARKETS = (
    ("BTC", "0.01", "0.00001", "10000"),
    ("ETH", "0.01", "0.0001", "100000"),
    ("SOL", "0.001", "0.01", "1000000"),
)
"""Base asset, tick, lot and largest quantity of each market against USD."""
MAKER_FEE_RATE, TAKER_FEE_RATE = "0.001", "0.002"
FUNDS = {"USD": "1000000", "BTC": "100", "ETH": "1000", "SOL": "10000"}
ADMIN = "admin"
TRADERS = ("alice", "bob", "maker")
SCOPES = {ADMIN: ("read", "trade", "admin")} | dict.fromkeys(TRADERS, ("read", "trade"))


def account_id_of(name: str) -> str:
    """Return the id of a seeded account."""
    return f"acc_{name}"


def commands(cell: int, home_region: str) -> list[Command]:
    """Return the commands in an order in which each finds what it needs."""
    accounts = [CreateAccount("", account_id_of(name), name) for name in SCOPES]
    deposits = [
        Transfer("deposit", account_id_of(name), asset, parse(amount, DECIMALS), f"seed-{asset}")
        for name in TRADERS
        for asset, amount in FUNDS.items()
    ]
    return [
        *(CreateAsset(asset, DECIMALS) for asset in ASSETS),
        *(CreateMarket(_market(cell, home_region, *values)) for values in MARKETS),
        *accounts,
        *deposits,
    ]


def _market(cell: int, home_region: str, base: str, tick_size: str, lot_size: str, max_quantity: str) -> Market:
    lot = parse(lot_size, MAX_DECIMALS)
    return Market(
        symbol=f"{base}-USD",
        base=base,
        quote="USD",
        status=MarketStatus.OPEN,
        tick_size=parse(tick_size, MAX_DECIMALS),
        lot_size=lot,
        min_notional=0,
        max_quantity=parse(max_quantity, MAX_DECIMALS) // lot,
        maker_fee_rate=parse(MAKER_FEE_RATE, RATE_DECIMALS),
        taker_fee_rate=parse(TAKER_FEE_RATE, RATE_DECIMALS),
        price_band=None,
        cell=cell,
        home_region=home_region,
        base_decimals=DECIMALS,
        quote_decimals=DECIMALS,
    )
