"""The state of a cell as plain records: taken and restored; it neither loads nor stores them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from msgspec import structs

from exchange.commands import CreateApiKey
from exchange.markets import Market, MarketFigures, MarketStatus
from exchange.orders import OrderRecord, OrderStatus
from matching_service import auctions, fees
from matching_service.accounts import Account, Balance, FeeVolume
from matching_service.book import BUY
from matching_service.safeguards import follow_dead_man
from matching_service.state import ApiKey, ListedAsset, State

OPEN = MarketStatus.OPEN


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state as of `sequence` and its `time`.

    `markets` and `api_keys` come with their created_sequence, `orders`, all open, with their priority_sequence, in
    any order; `recent_ids` are `(id, sequence)`, `request_ids` `(id, sequence, time)`, oldest first. `figures` are by
    symbol, new ones where a market has none; of `fee_volumes` those that are too old to count are passed over.
    """

    cell: int
    sequence: int = 0
    time: int = 0
    assets: Iterable[ListedAsset] = ()
    accounts: Iterable[Account] = ()
    balances: Iterable[Balance] = ()
    markets: Iterable[tuple[Market, int]] = ()
    api_keys: Iterable[tuple[CreateApiKey, int]] = ()
    orders: Iterable[tuple[OrderRecord, int]] = ()
    recent_ids: Iterable[tuple[str, int]] = ()
    request_ids: Iterable[tuple[str, int, int]] = ()
    figures: Iterable[tuple[str, MarketFigures]] = ()
    fee_volumes: Iterable[FeeVolume] = ()


def taken(state: State) -> Snapshot:
    """Return the state as a snapshot that later commands leave alone."""
    orders = sorted(state.orders.values(), key=lambda order: order.priority_sequence)
    return Snapshot(
        cell=state.cell,
        sequence=state.sequence,
        time=state.time,
        assets=list(state.assets.values()),
        accounts=[replace(account) for account in state.accounts.by_id.values()],
        balances=[replace(balance, noted=0) for balance in state.accounts.balances()],
        markets=[(market.settings, market.created_sequence) for market in state.markets.values()],
        api_keys=[(api_key.created, api_key.created_sequence) for api_key in state.api_keys.values()],
        orders=[(order.record(), order.priority_sequence) for order in orders],
        recent_ids=state.recent_ids.entries(),
        request_ids=list(state.request_ids.entries()),
        figures=[(symbol, structs.replace(market.figures)) for symbol, market in state.markets.items()],
        fee_volumes=[replace(volume) for market in state.markets.values() for volume in market.fee_volumes()],
    )


def restored(snapshot: Snapshot) -> State:
    """Return the state that `snapshot` was taken of."""
    state = State(snapshot.cell)
    state.sequence = snapshot.sequence
    state.time = snapshot.time
    state.clear_changes()
    state.assets = {listed.asset.asset: listed for listed in snapshot.assets}
    for account in snapshot.accounts:
        state.accounts.by_id[account.account_id] = kept = replace(account)
        follow_dead_man(state, kept)
    for row in snapshot.balances:
        balance = state.accounts.balance(row.account_id, row.asset)
        balance.available, balance.held = row.available, row.held
    figures = dict(snapshot.figures)
    for settings, created_sequence in sorted(snapshot.markets, key=lambda item: item[1]):
        market = state.list_market(settings, created_sequence)
        market.figures = structs.replace(figures.get(settings.symbol, MarketFigures()))
        auctions.follow(state, market)
        fees.follow(state, market)
    _restore_volumes(state, snapshot.fee_volumes)
    for created, created_sequence in snapshot.api_keys:
        state.api_keys[created.api_key] = ApiKey(created, created_sequence)
    for record, priority_sequence in sorted(snapshot.orders, key=lambda item: item[1]):
        _reopen(state, record, priority_sequence)
    for identifier, sequence in snapshot.recent_ids:
        state.recent_ids.sequences[identifier] = sequence
    newest = -1
    for identifier, sequence, time in snapshot.request_ids:
        if time > newest:
            state.request_ids.advance(sequence, time)
            newest = time
        state.request_ids.sequences[identifier] = sequence
    if snapshot.time > newest:
        state.request_ids.advance(snapshot.sequence, snapshot.time)
    _assert_holds(state)
    return state


def _restore_volumes(state: State, volumes: Iterable[FeeVolume]) -> None:
    """Give back to everybody the volumes that still count, and find the tiers by them."""
    for volume in sorted(volumes, key=lambda volume: volume.day):
        market = state.markets[volume.symbol]
        if fees.counts(volume, market.figures.fee_day):
            state.trader(market, volume.account_id).volumes.append(replace(volume))
    for market in state.markets.values():
        fees.find_tiers(market, market.settings)


def _reopen(state: State, record: OrderRecord, priority_sequence: int) -> None:
    """Put an open order back into its book, behind those of an earlier priority."""
    placed = record.placed
    market = state.markets[placed.symbol]
    order = state.order(market, placed)
    assert record.remaining_lots is not None
    order.first_sequence = record.first_sequence
    order.priority_sequence = priority_sequence
    order.remaining_lots = record.remaining_lots
    order.filled_quote = record.filled_quote
    fee, rebate = (record.fee_base, record.fee_quote) if placed.side is BUY else (record.fee_quote, record.fee_base)
    order.fee, order.rebate = fee, -rebate
    order.sequence = record.sequence
    order.created_time = record.created_time
    order.updated_time = record.updated_time
    order.is_waiting = record.status is OrderStatus.PENDING_TRIGGER
    order.displayed_lots = record.displayed_lots
    order.trigger_ticks = record.trigger_ticks
    order.partner_id = record.partner_id
    order.prevented_lots = record.prevented_lots
    assert order.record() == record
    state.open(order)
    if not order.is_waiting:
        market.book.add(order)
        return
    market.triggers.restore(order, market.figures.last_price_ticks)
    if market.settings.status is OPEN and market.triggers.has_due():
        state.unsettled[market] = None


def _assert_holds(state: State) -> None:
    """Check that every balance holds exactly what its open orders need."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    for order in state.orders.values():
        needed = order.hold_per_lot * order.remaining_lots
        partner = None if order.partner_id is None else state.orders.get(order.partner_id)
        if partner is not None:
            other = partner.hold_per_lot * partner.remaining_lots
            # The leg that holds more holds for both; of two that hold the same, the older.
            if (other, order.priority_sequence) > (needed, partner.priority_sequence):
                continue
        held[order.spends.account_id, order.spends.asset] += needed
    for balance in state.accounts.balances():
        assert balance.held == held.pop((balance.account_id, balance.asset), 0), balance
    assert not held
