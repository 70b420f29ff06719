"""All that the engine of one cell holds, and what of it changed since it was last asked; it decides nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.commands import CreateApiKey, Transfer
from exchange.errors import DETAIL_OF_CODE
from exchange.markets import Asset, Market, MarketFigures
from exchange.orders import OrderType, PlaceOrder, TimeInForce
from matching_service.accounts import FEES, Account, Accounts, Balance, FeeVolume, Trader
from matching_service.book import BUY, EAGEREST, Book, Order
from matching_service.memory import RecentIds, RequestIds
from matching_service.timers import Kind, Timer, Timers, expiry
from matching_service.triggers import Triggers

# A name of this module costs 14 ns, an attribute of an enum class 40.
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
PRIORITY_BITS = 20
"""A priority is a command's sequence and, in these low bits, the place of what it entered or moved to the back."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A command's id, name or reference was applied before, at `sequence`."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command must not be applied and leaves no trace; `field` names what is at fault in it, where something is."""

    code: str
    detail: str
    field: str | None = None


NOT_FOUND = Refusal("resource.not_found", DETAIL_OF_CODE["resource.not_found"])


@dataclass(frozen=True, slots=True)
class ListedAsset:
    """An asset and the sequence that created it."""

    asset: Asset
    created_sequence: int


@dataclass(slots=True, eq=False)
class ApiKey:
    """A key as it was created, and whether it is deleted."""

    created: CreateApiKey
    created_sequence: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class TransferEntry:
    """A transfer, done or refused, and its sequence."""

    transfer: Transfer
    sequence: int

    @property
    def identifier(self) -> str:
        """The id under which the transfer is remembered."""
        return transfer_id(self.transfer)


def transfer_id(transfer: Transfer) -> str:
    """Return the id under which a transfer is remembered."""
    return f"{transfer.kind}/{transfer.account_id}/{transfer.reference}"


@dataclass(slots=True, eq=False)
class LiveMarket:
    """A market as the engine holds it: its settings, its book, what it came to, who has traded, where its fees go.

    `collected` are the lots at those keys that an auction has looked at: with thousands of orders at a price, adding up
    anew after each command would be most of its cost. The market `is_restricted` unless it is open and without a band.
    """

    settings: Market
    created_sequence: int
    book: Book
    base_units_per_lot: int
    quote_units_per_tick_lot: int
    fees: Trader
    figures: MarketFigures
    traders: dict[str, Trader] = field(default_factory=dict)
    collected: dict[int, int] = field(default_factory=dict)
    is_restricted: bool = False
    triggers: Triggers = field(default_factory=Triggers)

    def fee_volumes(self) -> Iterator[FeeVolume]:
        """Return the volumes of everybody."""
        return (volume for trader in self.traders.values() for volume in trader.volumes)


@dataclass(slots=True)
class Changes:
    """What changed in a batch, each once, in order of the first change.

    These are the engine's own objects and change with its next command: read them before.
    """

    orders: list[Order]
    balances: list[Balance]
    accounts: list[Account]
    assets: list[ListedAsset]
    markets: list[LiveMarket]
    api_keys: list[ApiKey]
    transfers: list[TransferEntry]
    fee_volumes: list[FeeVolume]


class State:
    """The state of one cell.

    `orders` are the open ones by id, `subjects` those that the last command was about, and what is named `changed_…`
    is what has changed since the sequence `batch_start`, each once. `unsettled` are the markets to look at where a
    command ends, `auctions` those that collect orders.
    """

    __slots__ = (
        "accounts",
        "api_keys",
        "assets",
        "auctions",
        "batch_start",
        "cell",
        "changed_accounts",
        "changed_api_keys",
        "changed_assets",
        "changed_balances",
        "changed_fee_volumes",
        "changed_markets",
        "changed_orders",
        "changed_transfers",
        "last_priority",
        "markets",
        "moved_orders",
        "orders",
        "recent_ids",
        "request_ids",
        "sequence",
        "subjects",
        "time",
        "timers",
        "unsettled",
    )

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self.sequence = 0
        self.time = 0
        self.assets: dict[str, ListedAsset] = {}
        self.accounts = Accounts()
        self.markets: dict[str, LiveMarket] = {}
        self.api_keys: dict[str, ApiKey] = {}
        self.orders: dict[str, Order] = {}
        self.recent_ids = RecentIds()
        self.request_ids = RequestIds()
        self.subjects: tuple[Order, ...] = ()
        self.timers = Timers()
        self.unsettled: dict[LiveMarket, None] = {}
        self.auctions: dict[LiveMarket, None] = {}
        self.last_priority = 0
        self.clear_changes()

    def clear_changes(self) -> None:
        """Begin a new batch."""
        self.batch_start = self.sequence + 1
        self.changed_orders: list[Order] = []
        self.moved_orders: dict[Order, None] = {}
        self.changed_balances: list[Balance] = []
        self.changed_accounts: dict[Account, None] = {}
        self.changed_assets: list[ListedAsset] = []
        self.changed_markets: dict[LiveMarket, None] = {}
        self.changed_api_keys: dict[ApiKey, None] = {}
        self.changed_transfers: list[TransferEntry] = []
        self.changed_fee_volumes: dict[FeeVolume, None] = {}

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        moved = [order for order in self.moved_orders if order.sequence < self.batch_start]
        changes = Changes(
            orders=self.changed_orders + moved if moved else self.changed_orders,
            balances=self.changed_balances,
            accounts=list(self.changed_accounts),
            assets=self.changed_assets,
            markets=list(self.changed_markets),
            api_keys=list(self.changed_api_keys),
            transfers=self.changed_transfers,
            fee_volumes=list(self.changed_fee_volumes),
        )
        self.clear_changes()
        return changes

    def note(self, balance: Balance) -> None:
        """Count `balance`, which must not be `noted` since `batch_start`, among what this batch changed.

        Asking for that where a balance changes, instead of keeping ordered sets, is 8 % of the engine's rate.
        """
        balance.noted = self.sequence
        self.changed_balances.append(balance)

    def list_market(self, settings: Market, created_sequence: int) -> LiveMarket:
        """Open a market with an empty book."""
        assert settings.symbol not in self.markets, settings.symbol
        balance = self.accounts.balance
        fees = Trader(FEES, balance(FEES, settings.base), balance(FEES, settings.quote))
        unit = settings.quote_units_per_tick_lot
        market = LiveMarket(
            settings, created_sequence, Book(unit), settings.base_units_per_lot, unit, fees, MarketFigures()
        )
        self.markets[settings.symbol] = market
        return market

    def order(self, market: LiveMarket, placed: PlaceOrder) -> Order:
        """Return `placed` as a new order that holds nothing and rests nowhere."""
        trader = market.traders.get(placed.account_id)
        if trader is None:
            trader = self.trader(market, placed.account_id)
        price_ticks, lots = placed.price_ticks, placed.quantity_lots
        if price_ticks is None:
            assert (lots is None) is not (placed.quote_quantity is None)
            assert lots is not None or placed.side is BUY
            key, hold_per_lot = EAGEREST, 0 if placed.side is BUY else market.base_units_per_lot
        else:
            assert lots
            assert price_ticks > 0
            if placed.side is BUY:
                key, hold_per_lot = price_ticks, price_ticks * market.quote_units_per_tick_lot
            else:
                key, hold_per_lot = -price_ticks, market.base_units_per_lot
        sequence, time = self.sequence, self.time
        priority = sequence << PRIORITY_BITS
        return Order(placed, key, trader, hold_per_lot, lots or 0, sequence, priority, sequence, time, time)

    def next_priority(self) -> int:
        """Return a priority behind all others so far; that of the first order a command enters is taken."""
        floor = self.sequence << PRIORITY_BITS
        self.last_priority = max(self.last_priority, floor) + 1
        assert self.last_priority >> PRIORITY_BITS == self.sequence
        return self.last_priority

    def open(self, order: Order) -> None:
        """Count an order among the open ones."""
        order_id = order.placed.order_id
        order.trader.order_ids.add(order_id)
        self.orders[order_id] = order
        has_price_option = order.is_waiting or order.displayed_lots is not None
        order.has_options = has_price_option or order.partner_id is not None or order.placed.time_in_force is not GTC
        due = expiry(order.placed, order.created_time)
        if due is not None:
            self.timers.arm(Timer(due, Kind.EXPIRY, order.first_sequence, order_id))

    def close(self, order: Order) -> None:
        """Count an order no longer among the open ones."""
        order_id = order.placed.order_id
        order.trader.order_ids.remove(order_id)
        del self.orders[order_id]
        self.disarm(order)

    def disarm(self, order: Order) -> None:
        """Let an order expire no more."""
        due = expiry(order.placed, order.created_time)
        if due is not None:
            self.timers.disarm(Timer(due, Kind.EXPIRY, order.first_sequence, order.placed.order_id))

    def move(self, order: Order) -> None:
        """Let the price that triggers an order be another: it is stored, and no change that anybody sees."""
        self.moved_orders[order] = None

    def touch(self, order: Order) -> None:
        """Let an order be changed by the command that is being applied."""
        if order.sequence < self.batch_start:
            self.changed_orders.append(order)
        order.sequence = self.sequence
        order.updated_time = self.time

    def advance(self, time: int) -> None:
        """Go on to a later time, as each batch does, and forget what is too old by then."""
        assert time > self.time, (time, self.time)
        self.time = time
        self.request_ids.advance(self.sequence, time)
        self.request_ids.trim()
        self.recent_ids.trim()

    def remember(self, request_id: str) -> None:
        """Remember the request of the command that is being applied; "" is none."""
        if request_id:
            self.request_ids.sequences[request_id] = self.sequence

    def copy_of_request(self, request_id: str) -> Copy | None:
        """Say whether a command of this request was applied before."""
        sequence = self.request_ids.sequence_of(request_id)
        return None if sequence is None else Copy(sequence)

    def trader(self, market: LiveMarket, account_id: str) -> Trader:
        """Return an account in a market, a new one of no volume where it was not there."""
        known = market.traders.get(account_id)
        if known is not None:
            return known
        settings, balance = market.settings, self.accounts.balance
        trader = Trader(account_id, balance(account_id, settings.base), balance(account_id, settings.quote))
        trader.tier = settings.fee_tier(0)
        trader.follow(self.accounts.by_id[account_id].status)
        market.traders[account_id] = trader
        return trader
