"""All that the engine of one cell holds, and what of it changed since it was last asked; it decides nothing."""

from dataclasses import dataclass, field

from exchange.commands import CreateApiKey, Transfer
from exchange.errors import DETAIL_OF_CODE
from exchange.markets import Asset, Market
from exchange.orders import PlaceOrder
from matching_service.accounts import FEES, Account, Accounts, Balance, Trader
from matching_service.book import BUY, EAGEREST, Book, Order
from matching_service.memory import RecentIds, RequestIds


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


@dataclass(slots=True, eq=False)
class LiveMarket:
    """A market as the engine holds it: its settings, its book, who has traded there, and where its fees go."""

    settings: Market
    created_sequence: int
    book: Book
    base_units_per_lot: int
    quote_units_per_tick_lot: int
    fees: Trader
    traders: dict[str, Trader] = field(default_factory=dict)


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


class State:
    """The state of one cell: `orders` are the open ones by id, the dicts named `changed_…` ordered sets,
    `subject` the order that was entered or canceled last."""

    __slots__ = (
        "accounts",
        "api_keys",
        "assets",
        "cell",
        "changed_accounts",
        "changed_api_keys",
        "changed_assets",
        "changed_balances",
        "changed_markets",
        "changed_orders",
        "changed_transfers",
        "markets",
        "orders",
        "recent_ids",
        "request_ids",
        "sequence",
        "subject",
        "time",
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
        self.subject: Order | None = None
        self.clear_changes()

    def clear_changes(self) -> None:
        """Begin a new batch."""
        self.changed_orders: dict[Order, None] = {}
        self.changed_balances: dict[Balance, None] = {}
        self.changed_accounts: dict[Account, None] = {}
        self.changed_assets: dict[ListedAsset, None] = {}
        self.changed_markets: dict[LiveMarket, None] = {}
        self.changed_api_keys: dict[ApiKey, None] = {}
        self.changed_transfers: dict[TransferEntry, None] = {}

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        changes = Changes(
            orders=list(self.changed_orders),
            balances=list(self.changed_balances),
            accounts=list(self.changed_accounts),
            assets=list(self.changed_assets),
            markets=list(self.changed_markets),
            api_keys=list(self.changed_api_keys),
            transfers=list(self.changed_transfers),
        )
        self.clear_changes()
        return changes

    def list_market(self, settings: Market, created_sequence: int) -> LiveMarket:
        """Open a market with an empty book."""
        assert settings.symbol not in self.markets, settings.symbol
        balance = self.accounts.balance
        fees = Trader(FEES, balance(FEES, settings.base), balance(FEES, settings.quote))
        unit = settings.quote_units_per_tick_lot
        market = LiveMarket(settings, created_sequence, Book(unit), settings.base_units_per_lot, unit, fees)
        self.markets[settings.symbol] = market
        return market

    def order(self, market: LiveMarket, placed: PlaceOrder, sequence: int, time: int) -> Order:
        """Return `placed` as a new order that holds nothing and rests nowhere."""
        trader = market.traders.get(placed.account_id) or self._trader(market, placed.account_id)
        price_ticks = placed.price_ticks
        if placed.side is BUY:
            spends, receives = trader.quote, trader.base
            key = EAGEREST if price_ticks is None else price_ticks
            hold_per_lot = 0 if price_ticks is None else price_ticks * market.quote_units_per_tick_lot
        else:
            spends, receives = trader.base, trader.quote
            key = EAGEREST if price_ticks is None else -price_ticks
            hold_per_lot = market.base_units_per_lot
        return Order(
            placed, key, trader, spends, receives, hold_per_lot, placed.quantity_lots or 0,
            sequence, sequence, sequence, time, time,
        )  # fmt: skip

    def open(self, market: LiveMarket, order: Order) -> None:
        """Rest `order` in the book behind all others at its price."""
        order_id = order.placed.order_id
        market.book.add(order)
        order.trader.order_ids.add(order_id)
        self.orders[order_id] = order

    def close(self, order: Order) -> None:
        """Forget an open order that has left the book."""
        order_id = order.placed.order_id
        order.trader.order_ids.remove(order_id)
        del self.orders[order_id]

    def _trader(self, market: LiveMarket, account_id: str) -> Trader:
        settings, balance = market.settings, self.accounts.balance
        trader = Trader(account_id, balance(account_id, settings.base), balance(account_id, settings.quote))
        market.traders[account_id] = trader
        return trader
