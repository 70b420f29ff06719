"""Markets and assets from the tables; what never changes of them is kept, what can change is read anew."""

from exchange.markets import Asset, Market
from exchange.stores.database import Database
from exchange.stores.rows import MARKET_COLUMNS, MARKET_TABLES, asset_from_row, market_from_row

_MARKETS = f"SELECT {MARKET_COLUMNS} FROM {MARKET_TABLES} "  # noqa: S608 - constant lists


class Markets:
    """The markets and assets of every cell.

    Steps, assets and decimals of a market are for ever, so orders are read and written with a kept one, also while
    the database is away; status, fees and minima are the engine's to check.
    """

    def __init__(self, database: Database):
        self._database = database
        self._markets: dict[str, Market] = {}
        self._assets: dict[str, Asset] = {}

    def known(self, symbol: str) -> Market | None:
        """Return a market whose status and fees may be out of date, None when there is no such market."""
        return self._markets.get(symbol) or self.current(symbol)

    def existing(self, symbol: str) -> Market:
        """Return a market that must exist, since an order or a trade of it does."""
        market = self.known(symbol)
        assert market is not None, f"no market {symbol}"
        return market

    def current(self, symbol: str) -> Market | None:
        """Return a market as it is now."""
        found = self._database.rows(_MARKETS + "WHERE markets.symbol = %s", symbol)
        return self._kept([market_from_row(row) for row in found])[0] if found else None

    def page(self, before: int, count: int) -> list[tuple[int, Market]]:
        """Return at most `count` markets as they are now, newest first, each with the sequence that created it."""
        found = self._database.rows(
            f"SELECT {MARKET_COLUMNS}, markets.created_sequence FROM {MARKET_TABLES} "  # noqa: S608 - constant lists
            "WHERE markets.created_sequence < %s ORDER BY markets.created_sequence DESC LIMIT %s",
            before,
            count,
        )
        return [
            (row[-1], market) for row, market in zip(found, self._kept(list(map(market_from_row, found))), strict=True)
        ]

    def kept(self) -> list[Market]:
        """Return the markets that were met, as they were then."""
        return sorted(self._markets.values(), key=lambda market: market.symbol)

    def cells(self) -> list[int]:
        """Return the cells that have markets, by number."""
        return [cell for (cell,) in self._database.rows("SELECT DISTINCT cell FROM markets ORDER BY cell")]

    def asset(self, name: str) -> Asset | None:
        """Return an asset, None when there is no such asset."""
        if name not in self._assets:
            found = self._database.rows("SELECT asset, decimals FROM assets WHERE asset = %s LIMIT 1", name)
            self._assets.update((row[0], asset_from_row(row)) for row in found)
        return self._assets.get(name)

    def assets(self, before: int, count: int) -> list[tuple[int, Asset]]:
        """Return at most `count` assets, newest first, each with the sequence that created it."""
        found = self._database.rows(
            "SELECT asset, decimals, created_sequence FROM assets WHERE created_sequence < %s "
            "ORDER BY created_sequence DESC LIMIT %s",
            before,
            count,
        )
        return [(row[2], asset_from_row(row)) for row in found]

    def _kept(self, markets: list[Market]) -> list[Market]:
        self._markets.update((market.symbol, market) for market in markets)
        return markets
