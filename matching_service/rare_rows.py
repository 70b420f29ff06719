"""What few batches change, as JSON for `write_rare`: assets, accounts, keys, markets, transfers; it runs no query."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from exchange import amounts
from exchange.commands import Journaled
from exchange.documents import market_document
from exchange.events import Event, Transferred
from exchange.markets import Asset, Market, MarketFigures
from matching_service.accounts import Account, FeeVolume
from matching_service.state import ApiKey, Changes, ListedAsset, LiveMarket, TransferEntry

Row = dict[str, Any]


class RareRows:
    """Writes what is rare of the batches of one engine."""

    def __init__(self, asset: Callable[[str], Asset]) -> None:
        self.asset = asset
        self.written: dict[str, tuple[Market, MarketFigures]] = {}

    def rows_of(self, journaled: list[Journaled], batch_events: list[list[Event]], changes: Changes) -> str | None:
        """Return the rows by table, of those tables that have any; None where none has."""
        rows: dict[str, list[Row]] = {}
        if changes.markets:
            rows["markets"] = [_market_row(live) for live in changes.markets if self._is_news(live)]
        if changes.assets or changes.accounts or changes.api_keys:
            rows["assets"] = list(map(_asset_row, changes.assets))
            rows["accounts"] = list(map(_account_row, changes.accounts))
            rows["api_keys"] = list(map(_api_key_row, changes.api_keys))
        if changes.transfers:
            rows["transfers"] = list(map(_transfer_row, changes.transfers))
            moved = _transferred(journaled, batch_events)
            rows["transferred"] = [_transferred_row(*found, self.asset(found[3].asset).decimals) for found in moved]
        rows["forgotten_volumes"] = [_volume_key(volume) for volume in changes.fee_volumes if not volume.quote]
        given = {table: found for table, found in rows.items() if found}
        return json.dumps(given) if given else None

    def _is_news(self, live: LiveMarket) -> bool:
        """Say whether a market differs from its row by more than the last price, which the newest fill knows."""
        settings, figures = live.settings, structs.replace(live.figures, last_price_ticks=None)
        known = self.written.get(settings.symbol)
        self.written[settings.symbol] = settings, figures
        return known is None or known[0] is not settings or known[1] != figures


def _market_row(live: LiveMarket) -> Row:
    settings, figures = live.settings, live.figures
    return market_document(settings) | {
        "created_sequence": live.created_sequence,
        "status_before_halt": settings.status_before_halt,
        "last_price": _price(figures.last_price_ticks, settings),
        "reference_price": _price(figures.reference_ticks, settings),
        "auction_ends": figures.auction_ends,
        "indicative_price": _price(figures.indicative_ticks, settings),
        "indicative_quantity": settings.quantity_text(figures.indicative_lots),
        "surplus_quantity": settings.quantity_text(figures.surplus_lots),
        "uncrossing_price": _price(figures.uncrossing_ticks, settings),
        "fee_day": figures.fee_day,
    }


def _price(price_ticks: int | None, settings: Market) -> str | None:
    return None if price_ticks is None else settings.price_text(price_ticks)


def _asset_row(listed: ListedAsset) -> Row:
    asset = listed.asset
    return {"asset": asset.asset, "decimals": asset.decimals, "created_sequence": listed.created_sequence}


def _account_row(account: Account) -> Row:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "status": account.status,
        "created_sequence": account.created_sequence,
        "dead_man_deadline": account.dead_man_deadline,
    }


def _api_key_row(api_key: ApiKey) -> Row:
    created = api_key.created
    return {
        "api_key": created.api_key,
        "account_id": created.account_id,
        "encrypted_secret": created.encrypted_secret,
        "scopes": " ".join(created.scopes),
        "ip_allow_list": " ".join(created.ip_allow_list),
        "deleted": api_key.deleted,
        "created_sequence": api_key.created_sequence,
    }


def _transfer_row(entry: TransferEntry) -> Row:
    return {
        "account_id": entry.transfer.account_id,
        "kind": entry.transfer.kind,
        "reference": entry.transfer.reference,
        "sequence": entry.sequence,
    }


def _transferred(
    journaled: list[Journaled], batch_events: list[list[Event]]
) -> Iterable[tuple[int, int, int, Transferred]]:
    for entry, events in zip(journaled, batch_events, strict=True):
        for index, event in enumerate(events, 1):
            if isinstance(event, Transferred):
                yield entry.sequence, index, entry.time, event


def _transferred_row(sequence: int, index: int, time: int, event: Transferred, decimals: int) -> Row:
    return {
        "sequence": sequence,
        "index": index,
        "time": time,
        "kind": event.kind,
        "account_id": event.account_id,
        "asset": event.asset,
        "amount": amounts.text(event.amount, decimals),
        "reference": event.reference,
        "total": amounts.text(event.available + event.held, decimals),
        "external_total": amounts.text(event.external_available, decimals),
    }


def _volume_key(volume: FeeVolume) -> Row:
    return {"account_id": volume.account_id, "symbol": volume.symbol, "day": volume.day}
