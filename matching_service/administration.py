"""Assets, accounts, keys, markets and transfers: what changes by an operator's command; it matches nothing."""

from msgspec import structs

from exchange.amounts import UNITS_BOUND
from exchange.commands import (
    ChangeMarket,
    CreateAccount,
    CreateApiKey,
    CreateAsset,
    CreateMarket,
    DeleteApiKey,
    Transfer,
)
from exchange.events import (
    AccountCreated,
    ApiKeyCreated,
    ApiKeyDeleted,
    AssetCreated,
    Event,
    MarketChanged,
    MarketCreated,
    Transferred,
)
from exchange.markets import Asset, Market, MarketStatus, step_problem
from matching_service import auctions, bands, fees
from matching_service.accounts import EXTERNAL, Account
from matching_service.endings import refused
from matching_service.fees import RATE_ONE
from matching_service.state import NOT_FOUND, ApiKey, Copy, ListedAsset, Refusal, State, TransferEntry, transfer_id

DEPOSIT, WITHDRAWAL = "deposit", "withdrawal"
MAX_AUCTION_MS = 86_400_000
SETTINGS = (
    "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate", "price_band", "reference",
    "volatility_auction_ms", "fee_tiers",
)  # fmt: skip
"""What of a market can be changed, beside its status."""


def examine_transfer(state: State, command: Transfer) -> Copy | Refusal | None:
    """Say whether the reference was used before, or the transfer must leave no trace."""
    sequence = state.recent_ids.sequences.get(transfer_id(command))
    if sequence is not None:
        return Copy(sequence)
    if command.account_id not in state.accounts.by_id:
        return NOT_FOUND
    if command.asset not in state.assets:
        return _invalid("asset", "There is no such asset.")
    balance = state.accounts.balance(command.account_id, command.asset)
    deposited = command.amount if command.kind == DEPOSIT else 0
    if command.amount >= UNITS_BOUND or balance.available + balance.held + deposited >= UNITS_BOUND:
        return _invalid("amount", "The amount or the resulting balance is too large.")
    return None


def transfer(state: State, command: Transfer) -> list[Event]:
    """Move funds between the account and the world outside, or refuse."""
    assert command.kind in (DEPOSIT, WITHDRAWAL)
    assert command.amount > 0
    note_transfer(state, command)
    balance = state.accounts.balance(command.account_id, command.asset)
    amount = command.amount if command.kind == DEPOSIT else -command.amount
    if balance.available + amount < 0:
        return [refused("order.insufficient_funds")]
    external = state.accounts.balance(EXTERNAL, command.asset)
    balance.available += amount
    external.available -= amount
    for changed in (balance, external):
        if changed.noted < state.batch_start:
            state.note(changed)
    return [
        Transferred(
            kind=command.kind,
            account_id=command.account_id,
            asset=command.asset,
            amount=amount,
            reference=command.reference,
            available=balance.available,
            held=balance.held,
            external_available=external.available,
        )
    ]


def note_transfer(state: State, command: Transfer) -> None:
    """Use up the reference of a transfer, done or refused."""
    state.recent_ids.sequences[transfer_id(command)] = state.sequence
    state.changed_transfers.append(TransferEntry(command, state.sequence))


def examine_asset(state: State, command: CreateAsset) -> Copy | Refusal | None:
    """Say whether the name is taken."""
    listed = state.assets.get(command.asset)
    return None if listed is None else Copy(listed.created_sequence)


def create_asset(state: State, command: CreateAsset) -> list[Event]:
    """Create an asset."""
    assert 0 <= command.decimals <= 18
    listed = ListedAsset(Asset(command.asset, command.decimals), state.sequence)
    state.assets[command.asset] = listed
    state.changed_assets.append(listed)
    return [AssetCreated(listed.asset)]


def examine_account(state: State, command: CreateAccount) -> Copy | Refusal | None:
    """Say whether the id is taken."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    if command.account_id == EXTERNAL:
        return _invalid("account_id", "The id is taken by the system.")
    account = state.accounts.by_id.get(command.account_id)
    return None if account is None else Copy(account.created_sequence)


def create_account(state: State, command: CreateAccount) -> list[Event]:
    """Create an account."""
    state.remember(command.request_id)
    account = Account(command.account_id, command.name, "active", state.sequence)
    state.accounts.by_id[command.account_id] = account
    state.changed_accounts[account] = None
    return [AccountCreated(command.account_id, command.name)]


def examine_created_key(state: State, command: CreateApiKey) -> Copy | Refusal | None:
    """Say whether the key exists, or its account does not."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    api_key = state.api_keys.get(command.api_key)
    if api_key is not None:
        return Copy(api_key.created_sequence)
    return None if command.account_id in state.accounts.by_id else NOT_FOUND


def create_api_key(state: State, command: CreateApiKey) -> list[Event]:
    """Create a key of an account."""
    state.remember(command.request_id)
    api_key = ApiKey(structs.replace(command, request_id=""), state.sequence)
    state.api_keys[command.api_key] = api_key
    state.changed_api_keys[api_key] = None
    return [ApiKeyCreated(command.api_key, command.account_id)]


def examine_deleted_key(state: State, command: DeleteApiKey) -> Copy | Refusal | None:
    """Say whether there is a key to delete."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    return None if command.api_key in state.api_keys else NOT_FOUND


def delete_api_key(state: State, command: DeleteApiKey) -> list[Event]:
    """Delete a key for ever; the engine holds only those that serve."""
    state.remember(command.request_id)
    api_key = state.api_keys.pop(command.api_key)
    api_key.deleted = True
    state.changed_api_keys[api_key] = None
    return [ApiKeyDeleted(command.api_key, api_key.created.account_id)]


def examine_created_market(state: State, command: CreateMarket) -> Copy | Refusal | None:
    """Say whether the symbol is taken, or the market could not be."""
    market = command.market
    live = state.markets.get(market.symbol)
    if live is not None:
        return Copy(live.created_sequence)
    for field, asset, decimals in (
        ("base", market.base, market.base_decimals),
        ("quote", market.quote, market.quote_decimals),
    ):
        listed = state.assets.get(asset)
        if listed is None or listed.asset.decimals != decimals:
            return _invalid(field, "There is no such asset.")
    if market.base == market.quote:
        return _invalid("quote", "A market needs two different assets.")
    problem = step_problem(market.tick_size, market.lot_size, market.base_decimals, market.quote_decimals)
    return _invalid(*problem) if problem else _examine_bounds(market)


def create_market(state: State, command: CreateMarket) -> list[Event]:
    """Open a market with an empty book."""
    settings = command.market
    assert settings.cell == state.cell
    assert settings.status_before_halt is None
    live = state.list_market(settings, state.sequence)
    state.changed_markets[live] = None
    bands.lay(live)
    if settings.status is not MarketStatus.AUCTION:
        return [MarketCreated(settings)]
    return [MarketCreated(settings), auctions.start(state, live, None)]


def examine_changed_market(state: State, command: ChangeMarket) -> Copy | Refusal | None:
    """Say whether there is such a market, and whether it could be so."""
    copy = state.copy_of_request(command.request_id)
    if copy is not None:
        return copy
    live = state.markets.get(command.symbol)
    return NOT_FOUND if live is None else _examine_bounds(_changed(live.settings, command))


def change_market(state: State, command: ChangeMarket) -> list[Event]:
    """Change settings of a market; orders that rest stay as they are."""
    state.remember(command.request_id)
    live = state.markets[command.symbol]
    before = live.settings
    live.settings = _changed(before, command)
    state.changed_markets[live] = None
    state.unsettled[live] = None
    tiers = [] if command.fee_tiers is None else fees.find_tiers(live, before)
    first = [] if command.status is None else auctions.change_status(state, live, command.status)
    return [*first, MarketChanged(live.settings), *tiers]


def _changed(settings: Market, command: ChangeMarket) -> Market:
    """Return the settings as asked, but for the status: to change that is more than a setting."""
    names = SETTINGS if not command.clears_price_band else tuple(name for name in SETTINGS if name != "price_band")
    given = {name: getattr(command, name) for name in names if getattr(command, name) is not None}
    if command.clears_price_band:
        given["price_band"] = None
    return structs.replace(settings, **given)


def _examine_bounds(market: Market) -> Refusal | None:
    if not 0 < market.max_quantity * market.base_units_per_lot < UNITS_BOUND:
        return _invalid("max_quantity", "must be above zero and below 10^18 units of the base asset")
    if not 0 <= market.min_notional < UNITS_BOUND:
        return _invalid("min_notional", "must be below 10^18 units of the quote asset")
    if market.price_band is not None and not 0 < market.price_band < RATE_ONE:
        return _invalid("price_band", "must be above 0 and below 1")
    if not 0 < market.volatility_auction_ms <= MAX_AUCTION_MS:
        return _invalid("volatility_auction_ms", "must be above 0 and at most a day")
    return _examine_rates(market)


def _examine_rates(market: Market) -> Refusal | None:
    lines = [("maker_fee_rate", "taker_fee_rate", market.maker_fee_rate, market.taker_fee_rate)]
    lines += [("fee_tiers", "fee_tiers", tier.maker_fee_rate, tier.taker_fee_rate) for tier in market.fee_tiers]
    for maker_field, taker_field, maker_rate, taker_rate in lines:
        if not 0 <= taker_rate < RATE_ONE:
            return _invalid(taker_field, "must be at least 0 and below 1")
        if not -taker_rate <= maker_rate < RATE_ONE:
            return _invalid(maker_field, "must be below 1, and as a rebate at most the taker_fee_rate")
    volumes = [tier.volume for tier in market.fee_tiers]
    if any(volume < 0 for volume in volumes) or sorted(set(volumes)) != volumes:
        return _invalid("fee_tiers", "must ascend by volume")
    return None


def _invalid(field: str, detail: str) -> Refusal:
    return Refusal("request.invalid", detail, field)
