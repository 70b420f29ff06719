"""What happened: the events of a command in order, each with the absolutes that resulted; never a wish.

An event is `(cell, sequence, index)`; index 0 is the command itself, its events count from 1. Amounts are asset units.
"""

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from exchange.markets import Asset, Market
from exchange.orders import SelfTradePrevention, Side


class OrderAccepted(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderAccepted", gc=False):
    """An order was taken; `resting_lots` is what it then shows in the book: 0 where it waits for a trigger.

    `available` and `held` are the account's balance of the asset that the order spends, after the trades that follow.
    """

    order_id: str
    account_id: str
    symbol: str
    side: Side
    price_ticks: int | None
    resting_lots: int
    available: int
    held: int


class OrderRejected(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderRejected", gc=False):
    """An order was refused with `code`; its id is used up."""

    order_id: str
    account_id: str
    symbol: str
    code: str


class Trade(Struct, frozen=True, array_like=True, tag_field="event", tag="Trade", gc=False):
    """One match at the maker's price.

    Each party pays its fee in the asset that it receives; a negative `maker_fee` is a rebate in the asset that the
    taker pays its fee in. In an auction both pay as takers and `price_ticks` is the auction's. The balances are those
    after this trade, those of the fee account its available amounts.
    """

    symbol: str
    maker_order_id: str
    maker_account_id: str
    taker_order_id: str
    taker_account_id: str
    taker_side: Side
    price_ticks: int
    quantity_lots: int
    quote: int
    maker_fee: int
    taker_fee: int
    maker_remaining_lots: int
    taker_remaining_lots: int | None
    maker_base_available: int
    maker_base_held: int
    maker_quote_available: int
    maker_quote_held: int
    taker_base_available: int
    taker_base_held: int
    taker_quote_available: int
    taker_quote_held: int
    fees_base_available: int
    fees_quote_available: int
    is_auction: bool = False


class OrderCanceled(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderCanceled", gc=False):
    """An order ended before it was filled; `resting_lots` that it showed left the book at `price_ticks` by it.

    It is expired for the reasons `expired` and `queue_deadline`, canceled for every other.
    """

    order_id: str
    account_id: str
    symbol: str
    side: Side
    price_ticks: int | None
    remaining_lots: int | None
    resting_lots: int
    reason: str
    available: int
    held: int


class OrderReplenished(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderReplenished", gc=False):
    """An iceberg, whose slice is used up, shows its next one behind all others at its price."""

    order_id: str
    account_id: str
    symbol: str
    side: Side
    price_ticks: int
    displayed_lots: int


class OrderTriggered(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderTriggered", gc=False):
    """A waiting order became active; what it did follows. The fields are as those of `OrderAccepted`."""

    order_id: str
    account_id: str
    symbol: str
    side: Side
    price_ticks: int | None
    resting_lots: int
    available: int
    held: int


class OrderAmended(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderAmended", gc=False):
    """An order was changed: `old_resting_lots` left the book at the old price, `resting_lots` are shown at the new one.

    Its trades, where it has any, follow; `remaining_lots`, `resting_lots` and the balance are those after them.
    """

    order_id: str
    account_id: str
    symbol: str
    side: Side
    old_price_ticks: int | None
    old_resting_lots: int
    price_ticks: int | None
    resting_lots: int
    quantity_lots: int
    remaining_lots: int
    priority_kept: bool
    available: int
    held: int


class SelfTradePrevented(Struct, frozen=True, array_like=True, tag_field="event", tag="SelfTradePrevented", gc=False):
    """Two orders of one account met and `lots` did not trade; the cancels that follow from it are events of their own.

    By `decrement` both gave up those lots, and `maker_resting_lots_removed` of what the maker showed left the book with
    them, the maker itself with its last one; by the other modes nothing has changed yet. The balances are those of the
    asset that each order spends.
    """

    symbol: str
    account_id: str
    maker_order_id: str
    taker_order_id: str
    taker_side: Side
    mode: SelfTradePrevention
    price_ticks: int
    lots: int
    maker_remaining_lots: int
    taker_remaining_lots: int | None
    maker_resting_lots_removed: int
    maker_available: int
    maker_held: int
    taker_available: int
    taker_held: int


class DeadManSet(Struct, frozen=True, array_like=True, tag_field="event", tag="DeadManSet", gc=False):
    """All open orders of the account are canceled at `deadline`, in microseconds, unless it is set again first."""

    account_id: str
    deadline: int | None


class AccountChanged(Struct, frozen=True, array_like=True, tag_field="event", tag="AccountChanged", gc=False):
    """An account has this status now."""

    account_id: str
    status: str


class ExchangeHalted(Struct, frozen=True, array_like=True, tag_field="event", tag="ExchangeHalted", gc=False):
    """Every market is halted."""


class ExchangeResumed(Struct, frozen=True, array_like=True, tag_field="event", tag="ExchangeResumed", gc=False):
    """Every market is again what it was before the halt."""


class AuctionStarted(Struct, frozen=True, array_like=True, tag_field="event", tag="AuctionStarted", gc=False):
    """A market collects orders without matching them, until `ends` (None: until it is opened by a command)."""

    symbol: str
    ends: int | None
    reference_ticks: int | None


class AuctionEnded(Struct, frozen=True, array_like=True, tag_field="event", tag="AuctionEnded", gc=False):
    """An auction traded `quantity_lots` at one price, None where nothing crossed; its trades came before."""

    symbol: str
    price_ticks: int | None
    quantity_lots: int


class BookUncrossed(Struct, frozen=True, array_like=True, tag_field="event", tag="BookUncrossed", gc=False):
    """What the auction's trades before took out of the book: `(price_ticks, lots shown, orders gone)` of each level.

    Orders of an auction trade at its price, but they rest at their own.
    """

    symbol: str
    bids: tuple[tuple[int, int, int], ...]
    asks: tuple[tuple[int, int, int], ...]


class IndicationChanged(Struct, frozen=True, array_like=True, tag_field="event", tag="IndicationChanged", gc=False):
    """An auction that ended now would do this; `surplus_lots` is above zero where more would be bought than sold."""

    symbol: str
    price_ticks: int | None
    quantity_lots: int
    surplus_lots: int


class TierChanged(Struct, frozen=True, array_like=True, tag_field="event", tag="TierChanged", gc=False):
    """An account pays these rates in a market from now on."""

    account_id: str
    symbol: str
    maker_fee_rate: int
    taker_fee_rate: int


class CommandRefused(Struct, frozen=True, array_like=True, tag_field="event", tag="CommandRefused", gc=False):
    """A command other than an order was refused and changed nothing; `field` names what was at fault, where one was."""

    code: str
    detail: str
    field: str | None = None


class TimeAdvanced(Struct, frozen=True, array_like=True, tag_field="event", tag="TimeAdvanced", gc=False):
    """The timers due at the command's time have fired; what they did follows."""


class AssetCreated(Struct, frozen=True, array_like=True, tag_field="event", tag="AssetCreated", gc=False):
    """An asset exists."""

    asset: Asset


class AccountCreated(Struct, frozen=True, array_like=True, tag_field="event", tag="AccountCreated", gc=False):
    """An account exists, and is active."""

    account_id: str
    name: str


class Transferred(Struct, frozen=True, array_like=True, tag_field="event", tag="Transferred", gc=False):
    """Funds came in or went out; `amount` is signed as the account sees it.

    `external_available` is the balance of the account `external`, the other side of every transfer.
    """

    kind: str
    account_id: str
    asset: str
    amount: int
    reference: str
    available: int
    held: int
    external_available: int


class ApiKeyCreated(Struct, frozen=True, array_like=True, tag_field="event", tag="ApiKeyCreated", gc=False):
    """A key serves its account from now on."""

    api_key: str
    account_id: str


class ApiKeyDeleted(Struct, frozen=True, array_like=True, tag_field="event", tag="ApiKeyDeleted", gc=False):
    """A key is deleted for ever."""

    api_key: str
    account_id: str


class MarketCreated(Struct, frozen=True, array_like=True, tag_field="event", tag="MarketCreated", gc=False):
    """A market exists."""

    market: Market


class MarketChanged(Struct, frozen=True, array_like=True, tag_field="event", tag="MarketChanged", gc=False):
    """A market has these settings now."""

    market: Market


Event = (
    OrderAccepted
    | OrderRejected
    | Trade
    | OrderCanceled
    | CommandRefused
    | TimeAdvanced
    | AssetCreated
    | AccountCreated
    | Transferred
    | ApiKeyCreated
    | ApiKeyDeleted
    | MarketCreated
    | MarketChanged
    | OrderReplenished
    | OrderTriggered
    | OrderAmended
    | SelfTradePrevented
    | DeadManSet
    | AccountChanged
    | ExchangeHalted
    | ExchangeResumed
    | AuctionStarted
    | AuctionEnded
    | BookUncrossed
    | IndicationChanged
    | TierChanged
)

encoder = Encoder()
events_decoder = Decoder(list[list[Event]])
"""One list of events for each command of a batch."""
