"""Orders and fills as every room speaks of them, and how their ids come about; never how they are matched."""

import base64
import hashlib
from enum import StrEnum

from msgspec import Struct


class Side(StrEnum):
    """Which half of the book an order joins."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order becomes active and what bounds its price."""

    LIMIT = "limit"
    MARKET = "market"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_LIMIT = "take_profit_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long what is left of an order stays."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"
    DAY = "day"


class SelfTradePrevention(StrEnum):
    """Which of two orders of one account gives way."""

    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    QUEUED = "queued"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    PENDING_TRIGGER = "pending_trigger"


TRIGGERED_TYPES = (
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.TAKE_PROFIT,
    OrderType.TAKE_PROFIT_LIMIT,
    OrderType.TRAILING_STOP,
)
"""The types that wait for a price before they are active."""
OPEN_STATUSES = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_TRIGGER)


class Liquidity(StrEnum):
    """Whether a fill's order was resting or incoming."""

    MAKER = "maker"
    TAKER = "taker"


class PlaceOrder(Struct, frozen=True, array_like=True, tag_field="command", tag="PlaceOrder", gc=False):
    """The command to enter an order; None where a field does not apply to its type.

    `quote_quantity` is in quote units, `expire_time` in microseconds since the epoch. An order that waited for a
    leader carries `queue_deadlines`, in microseconds as well: it is not entered after the first, and after the second
    only if it would meet nobody at once.
    """

    order_id: str
    account_id: str
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity_lots: int | None
    price_ticks: int | None
    time_in_force: TimeInForce
    quote_quantity: int | None = None
    post_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST
    stop_price_ticks: int | None = None
    trailing_delta_ticks: int | None = None
    display_lots: int | None = None
    expire_time: int | None = None
    queue_deadline_ms: int | None = None
    queue_deadlines: tuple[int, int] | None = None


class OrderRecord(Struct, frozen=True, array_like=True, gc=False):
    """One order as it stands at `sequence`: what was asked (`placed`) and what became of it.

    `remaining_lots` is None for a market order by quote_quantity. `filled_quote`, `fee_base` and `fee_quote` are in
    asset units, the times in microseconds. `first_sequence` is that of the command that entered the order. After an
    amend `placed` shows the quantity and the price as amended.

    `displayed_lots` is what an iceberg still shows of its slice, None for an order that shows all. `trigger_ticks` is
    the price that triggers a waiting order, None where there is none yet and once it was reached. `partner_id` is the
    other leg of its pair. `prevented_lots` were given up by self-trade prevention: the quantity is what was filled,
    what remains and these.
    """

    placed: PlaceOrder
    status: OrderStatus
    filled_lots: int
    remaining_lots: int | None
    filled_quote: int
    fee_base: int
    fee_quote: int
    reason: str | None
    first_sequence: int
    sequence: int
    created_time: int
    updated_time: int
    displayed_lots: int | None = None
    trigger_ticks: int | None = None
    partner_id: str | None = None
    prevented_lots: int = 0


class FillRecord(Struct, frozen=True, array_like=True, gc=False):
    """One side's share of the trade `(cell, sequence, index)`; `quote` and `fee` are in asset units."""

    cell: int
    sequence: int
    index: int
    order_id: str
    account_id: str
    symbol: str
    side: Side
    price_ticks: int
    quantity_lots: int
    quote: int
    fee: int
    fee_asset: str
    liquidity: Liquidity
    time: int

    @property
    def trade_id(self) -> str:
        """The public id of the trade, equal on both sides."""
        return f"{self.cell}-{self.sequence}-{self.index}"


def order_id_of(cell: int, account_id: str, client_order_id: str) -> str:
    """Return the id that this account's `client_order_id` always has in `cell`."""
    digest = hashlib.sha256(f"{account_id}\0{client_order_id}".encode()).digest()
    return f"{cell}-{base64.b32encode(digest[:20])[:26].decode().lower()}"


def id_of_signature(signature: str, index: int) -> str:
    """Return the id of item `index` of a signed request that names none: `x_` and 32 hex digits."""
    return "x_" + hashlib.sha256(f"{signature}:{index}".encode()).hexdigest()[:32]
