"""What a Kinesis event source hands to a function and what it is told in return; it never asks Kinesis itself.

A partial batch response names records by sequence number. The event source goes back to the lowest of them and
delivers it and all that follow again, so a consumer must take a record twice without harm.
"""

import base64
import binascii
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from exchange import stream
from exchange.stream import PoisonRecord, StreamRecord

BatchResponse = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of a shard; `record` is None where what was delivered is none, for the reason `poison`."""

    sequence_number: str
    shard: str
    record: StreamRecord | None
    poison: str = ""


def deliveries(event: dict[str, Any]) -> list[Delivery]:
    """Return the records of one invocation in the order of their shard."""
    return [_delivery(item) for item in event["Records"]]


def batch_response(received: Sequence[Delivery], failed: Container[str]) -> BatchResponse:
    """Return the answer that has exactly the sequence numbers in `failed` delivered again, the lowest first."""
    return {
        "batchItemFailures": [
            {"itemIdentifier": delivery.sequence_number} for delivery in received if delivery.sequence_number in failed
        ]
    }


def _delivery(item: dict[str, Any]) -> Delivery:
    number: str = item["kinesis"]["sequenceNumber"]
    shard: str = item["eventID"].partition(":")[0]
    try:
        return Delivery(number, shard, stream.decode(base64.b64decode(item["kinesis"]["data"], validate=True)))
    except (PoisonRecord, binascii.Error) as error:
        return Delivery(number, shard, None, str(error))
