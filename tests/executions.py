"""Examples of what the executions stream carries, and the event that brings it to a function."""

import base64
from typing import Any

from exchange import stream
from exchange.commands import CancelOrder
from exchange.events import OrderCanceled
from exchange.orders import Side
from exchange.stream import StreamEntry, StreamRecord
from exchange.times import time_text

TIME = 1_795_332_844_123_456
"""2026-11-22T07:34:04.123456Z"""
SHARD = "shardId-000000000001"
MICROSECONDS_PER_HOUR = 3_600_000_000

Document = dict[str, Any]


def an_entry(sequence: int, events: int = 1, time: int = TIME) -> StreamEntry:
    """Return what a cancel did, under a sequence."""
    canceled = OrderCanceled("1-abc", "alice", "BTC-USD", Side.BUY, 100, 5, 5, "user", 10, 0)
    command = CancelOrder(f"request-{sequence}", "alice", "1-abc")
    return stream.entry_of(sequence, time, command, [(index, canceled) for index in range(1, events + 1)])


def a_record(*entries: StreamEntry, key: str = "BTC-USD", timeline: int = 1, **fields: Any) -> StreamRecord:
    """Return the record of a batch that held these entries."""
    sequences = [entry.sequence for entry in entries] or [1]
    return StreamRecord(
        timeline=timeline,
        cell=1,
        epoch=3,
        batch_id="6f1c1e9a-0000-4000-8000-000000000001",
        key=key,
        first_sequence=min(sequences),
        last_sequence=max(sequences),
        chain="ab" * 32,
        entries=list(entries),
        **fields,
    )


def an_order(name: str, sequence: int, **fields: Any) -> Document:
    """Return an order's document as it stood after `sequence`; `fields` change it."""
    return {
        "order_id": f"1-{name}",
        "client_order_id": f"bot-{name}",
        "account_id": "alice",
        "symbol": "BTC-USD",
        "side": "buy",
        "type": "limit",
        "quantity": "0.50000",
        "quote_quantity": None,
        "price": "100.25",
        "stop_price": None,
        "trailing_delta": None,
        "time_in_force": "gtc",
        "expire_time": None,
        "post_only": False,
        "display_quantity": None,
        "self_trade_prevention": "cancel_newest",
        "queue_deadline_ms": None,
        "status": "new",
        "filled_quantity": "0.00000",
        "remaining_quantity": "0.50000",
        "average_price": None,
        "filled_quote": "0.00000000",
        "fees": [{"asset": "USD", "amount": "0.00000000"}],
        "reason": None,
        "sequence": sequence,
        "created_time": time_text(TIME),
        "updated_time": time_text(TIME + sequence),
    } | fields


def a_trade(sequence: int, index: int = 2, **fields: Any) -> Document:
    """Return a trade's document; `fields` change it."""
    return {
        "trade_id": f"1-{sequence}-{index}",
        "symbol": "BTC-USD",
        "price": "100.25",
        "quantity": "0.50000",
        "quote": "50.12500000",
        "taker_side": "buy",
        "maker_order_id": "1-maker",
        "taker_order_id": "1-taker",
        "maker_account_id": "bob",
        "taker_account_id": "alice",
        "maker_fee": "0.00050000",
        "taker_fee": "0.10025000",
        "cell": 1,
        "sequence": sequence,
        "index": index,
        "time": time_text(TIME + sequence),
    } | fields


def kinesis_event(*records: StreamRecord | bytes, shard: str = SHARD) -> dict[str, Any]:
    """Return the event of an invocation with these records; the first has the sequence number 1000."""
    return {"Records": [_delivered(number, record, shard) for number, record in enumerate(records, start=1000)]}


def _delivered(number: int, record: StreamRecord | bytes, shard: str) -> dict[str, Any]:
    data = record if isinstance(record, bytes) else stream.encode(record)
    return {
        "eventID": f"{shard}:{number}",
        "eventSource": "aws:kinesis",
        "eventName": "aws:kinesis:record",
        "awsRegion": "eu-central-1",
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "BTC-USD",
            "sequenceNumber": str(number),
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": 1795333044.5,
        },
    }
