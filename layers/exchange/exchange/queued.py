"""The records of the stream `orders`, the waiting room: their form, their seal and their deadlines; never a stream.

A record is one version byte, the HMAC-SHA256 of what follows, and one JSON document: whoever may write to the stream
but does not know the deployment's secret puts nothing in that a leader would take.
"""

import hashlib
import hmac

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from exchange.commands import AmendOrder, CancelOrder
from exchange.orders import OrderRecord, OrderStatus, OrderType, PlaceOrder, TimeInForce

VERSION = b"\x01"
SEAL_BYTES = 32
LONGEST_MS = 3_600_000
"""How long a resting limit order waits, and the most that an order may ask for."""
TAKING_MS = 10_000
"""How long whatever takes liquidity at once waits, where it does not say otherwise."""
_PURPOSE = b"exchange orders stream 1"
_NOW_OR_NEVER = (TimeInForce.IOC, TimeInForce.FOK)

Queueable = PlaceOrder | CancelOrder | AmendOrder
"""The commands that wait for a leader."""


class Malformed(ValueError):  # noqa: N818 - a verdict on the record, not an error of ours
    """What the stream delivered was not put there by this deployment, or is of another version."""


class QueuedCommand(Struct, frozen=True):
    """One command that waits; `arrived` is the edge's time at its arrival, in microseconds."""

    cell: int
    arrived: int
    command: Queueable


_encoder = Encoder()
_decoder = Decoder(QueuedCommand)


def encode(secret: str, queued: QueuedCommand) -> bytes:
    """Return the bytes of a record."""
    body = _encoder.encode(queued)
    return VERSION + _seal(secret, body) + body


def decode(secret: str, data: bytes) -> QueuedCommand:
    """Return what `encode` wrote; raise `Malformed` for anything else."""
    if data[:1] != VERSION:
        raise Malformed(f"version {data[:1].hex() or 'none'}, not {VERSION.hex()}")
    body = data[1 + SEAL_BYTES :]
    if not hmac.compare_digest(data[1 : 1 + SEAL_BYTES], _seal(secret, body)):
        raise Malformed("not sealed with the secret of this deployment")
    try:
        return _decoder.decode(body)
    except (DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from None


def partition_key(cell: int, account_id: str) -> str:
    """Return the key that keeps what one account asked for in order."""
    return f"{cell}/{account_id}"


def deadlines(order: PlaceOrder, arrived: int) -> tuple[int, int]:
    """Return until when an order may be entered, and until when it may take liquidity, in microseconds."""
    asked_ms = order.queue_deadline_ms
    if asked_ms is not None:
        latest_ms = latest_to_take_ms = asked_ms
    elif order.type is OrderType.MARKET or order.time_in_force in _NOW_OR_NEVER:
        latest_ms = latest_to_take_ms = TAKING_MS
    elif order.post_only:
        latest_ms = latest_to_take_ms = LONGEST_MS
    else:
        latest_ms, latest_to_take_ms = LONGEST_MS, TAKING_MS
    return arrived + latest_ms * 1000, arrived + latest_to_take_ms * 1000


def waiting_order(order: PlaceOrder, arrived: int) -> OrderRecord:
    """Return an order as it is shown while it waits; it has no sequence yet."""
    return OrderRecord(
        placed=order,
        status=OrderStatus.QUEUED,
        filled_lots=0,
        remaining_lots=order.quantity_lots,
        filled_quote=0,
        fee_base=0,
        fee_quote=0,
        reason=None,
        first_sequence=0,
        sequence=0,
        created_time=arrived,
        updated_time=arrived,
    )


def _seal(secret: str, body: bytes) -> bytes:
    key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return hmac.digest(key, body, hashlib.sha256)
