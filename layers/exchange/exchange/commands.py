"""What can be asked of the engine. A command is journaled as it is here and never changed afterwards.

`request_id` names a command that has no id of its own kind: derived from the request's signature, remembered for
120 s of engine time, so that a copy gets the first answer.
"""

import hashlib

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from exchange.markets import FeeTier, Market, MarketStatus, ReferencePolicy
from exchange.orders import PlaceOrder, Side


class CancelOrder(Struct, frozen=True, array_like=True, tag_field="command", tag="CancelOrder", gc=False):
    """Cancel one open order of the account."""

    request_id: str
    account_id: str
    order_id: str


class CancelOrders(Struct, frozen=True, array_like=True, tag_field="command", tag="CancelOrders", gc=False):
    """Cancel every open order of the account, of one market and of one side where these are given."""

    request_id: str
    account_id: str
    symbol: str | None
    side: Side | None


class AmendOrder(Struct, frozen=True, array_like=True, tag_field="command", tag="AmendOrder", gc=False):
    """Change the total quantity or the price of one open order of the account, those that are not None.

    Both are scaled by 10^18: which market the order is in, and so its steps, only the engine knows. One that waited for
    a leader is refused after its `queue_deadline`, in microseconds.
    """

    request_id: str
    account_id: str
    order_id: str
    quantity: int | None
    price: int | None
    queue_deadline: int | None = None


class PlacePair(Struct, frozen=True, array_like=True, tag_field="command", tag="PlacePair", gc=False):
    """Enter two orders of which one cancels the other, both or none; its ids are those of the two orders."""

    first: PlaceOrder
    second: PlaceOrder


class CancelAllAfter(Struct, frozen=True, array_like=True, tag_field="command", tag="CancelAllAfter", gc=False):
    """Cancel all open orders of the account unless asked again within `timeout_ms`; 0 disarms."""

    request_id: str
    account_id: str
    timeout_ms: int


class AdvanceTime(Struct, frozen=True, array_like=True, tag_field="command", tag="AdvanceTime", gc=False):
    """Let every timer fire that is due at the command's time; journaled by the leader alone."""


class CreateAsset(Struct, frozen=True, array_like=True, tag_field="command", tag="CreateAsset", gc=False):
    """Create an asset; its name is its id."""

    asset: str
    decimals: int


class CreateAccount(Struct, frozen=True, array_like=True, tag_field="command", tag="CreateAccount", gc=False):
    """Create an account under an id chosen by the edge."""

    request_id: str
    account_id: str
    name: str


class ChangeAccount(Struct, frozen=True, array_like=True, tag_field="command", tag="ChangeAccount", gc=False):
    """Set what an account may do: `status` is "active", "cancel_only" or "suspended"."""

    request_id: str
    account_id: str
    status: str


class KillSwitch(Struct, frozen=True, array_like=True, tag_field="command", tag="KillSwitch", gc=False):
    """Cancel every open order of an account, in halted markets too, and let it only cancel from then on."""

    request_id: str
    account_id: str


class Transfer(Struct, frozen=True, array_like=True, tag_field="command", tag="Transfer", gc=False):
    """Move `amount` asset units in (`kind` "deposit") or out ("withdrawal").

    `reference` is unique per account and kind.
    """

    kind: str
    account_id: str
    asset: str
    amount: int
    reference: str


class CreateApiKey(Struct, frozen=True, array_like=True, tag_field="command", tag="CreateApiKey", gc=False):
    """Create a key of the account; `encrypted_secret` is base64 and can be opened by the edge only."""

    request_id: str
    account_id: str
    api_key: str
    encrypted_secret: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]


class DeleteApiKey(Struct, frozen=True, array_like=True, tag_field="command", tag="DeleteApiKey", gc=False):
    """Delete a key for ever."""

    request_id: str
    api_key: str


class CreateMarket(Struct, frozen=True, array_like=True, tag_field="command", tag="CreateMarket", gc=False):
    """Create a market; its symbol is its id."""

    market: Market


class ChangeMarket(Struct, frozen=True, array_like=True, tag_field="command", tag="ChangeMarket", gc=False):
    """Change those settings of a market that are not None; `clears_price_band` takes the band away."""

    request_id: str
    symbol: str
    status: MarketStatus | None = None
    min_notional: int | None = None
    max_quantity: int | None = None
    maker_fee_rate: int | None = None
    taker_fee_rate: int | None = None
    price_band: int | None = None
    clears_price_band: bool = False
    reference: ReferencePolicy | None = None
    volatility_auction_ms: int | None = None
    fee_tiers: tuple[FeeTier, ...] | None = None


class HaltExchange(Struct, frozen=True, array_like=True, tag_field="command", tag="HaltExchange", gc=False):
    """Halt every market."""

    request_id: str


class ResumeExchange(Struct, frozen=True, array_like=True, tag_field="command", tag="ResumeExchange", gc=False):
    """Put every market back to what it was before the exchange was halted."""

    request_id: str


Command = (
    PlaceOrder
    | CancelOrder
    | CancelOrders
    | AdvanceTime
    | CreateAsset
    | CreateAccount
    | Transfer
    | CreateApiKey
    | DeleteApiKey
    | CreateMarket
    | ChangeMarket
    | AmendOrder
    | PlacePair
    | CancelAllAfter
    | ChangeAccount
    | KillSwitch
    | HaltExchange
    | ResumeExchange
)


class Journaled(Struct, frozen=True, array_like=True, gc=False):
    """A command at its place: `sequence` in its cell, engine time in microseconds; `poisoned` was never applied.

    `trace` is that of the request which brought it, "" where it is not known.
    """

    sequence: int
    time: int
    command: Command
    poisoned: bool = False
    trace: str = ""


encoder = Encoder()
journaled_decoder = Decoder(list[Journaled])


def fingerprint(command: Command) -> bytes:
    """Return 16 bytes that are equal for two commands exactly when they ask the same thing.

    What may differ between copies is left out: the queue's deadlines of an order, the id of a request.
    """
    if isinstance(command, PlacePair):
        command = PlacePair(_without_deadlines(command.first), _without_deadlines(command.second))
    if not isinstance(command, PlaceOrder):
        return _digest(encoder.encode(command))
    # Fingerprints are kept for ever: one goes over the fields that orders have always had, without `queue_deadlines`.
    return _digest(encoder.encode(_without_deadlines(command))[: -len(",null]")] + b"]")


def _without_deadlines(order: PlaceOrder) -> PlaceOrder:
    if order.queue_deadline_ms is None and order.queue_deadlines is None:
        return order
    return replace(order, queue_deadline_ms=None, queue_deadlines=None)


def _digest(asked: bytes) -> bytes:
    return hashlib.blake2b(asked, digest_size=16).digest()
