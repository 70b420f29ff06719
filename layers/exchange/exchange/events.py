"""What happened: the events of a command in order, each with the absolutes that resulted; never a wish.

An event is `(cell, sequence, index)`; index 0 is the command itself, its events count from 1. Amounts are asset units.
"""

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from exchange.markets import Asset, Market
from exchange.orders import Side


class OrderAccepted(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderAccepted", gc=False):
    """An order was taken; `resting_lots` is what it left in the book when its command ended.

    `available` and `held` are the account's balance of the asset that the order spends, when its command ended.
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

    Each party pays its fee in the asset that it receives. The balances are those after this trade, those of the fee
    account its available amounts.
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


class OrderCanceled(Struct, frozen=True, array_like=True, tag_field="event", tag="OrderCanceled", gc=False):
    """An order ended before it was filled; `resting_lots` left the book at `price_ticks` by it (0: it never rested)."""

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
)

encoder = Encoder()
events_decoder = Decoder(list[list[Event]])
"""One list of events for each command of a batch."""
