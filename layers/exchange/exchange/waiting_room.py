"""The edge's end of the waiting room: commands go in, and orders that wait can be read; it executes nothing.

A queued order is noted in Redis for an hour, the longest that one waits. The note is a convenience: without Redis the
order waits all the same, and is not shown until it is executed.
"""

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from exchange import queued
from exchange.orders import OrderRecord, PlaceOrder
from exchange.queued import Queueable, QueuedCommand
from exchange.stores.cache import Cache, CacheAway, CommandError
from exchange.stores.order_stream import OrderStream

NOTED_S = 3600

_encoder = Encoder()
_decoder = Decoder(OrderRecord)


class WaitingRoom:
    """Where the commands of one cell wait for a leader."""

    def __init__(self, stream: OrderStream, cache: Cache, cell: int, secret: str):
        self._stream = stream
        self._cache = cache
        self._cell = cell
        self._secret = secret

    def enter(self, command: Queueable, arrived: int, within_s: float) -> None:
        """Let a command wait; raise `Unavailable` when it cannot."""
        record = queued.encode(self._secret, QueuedCommand(self._cell, arrived, command))
        self._stream.put(queued.partition_key(self._cell, command.account_id), record, within_s)
        if isinstance(command, PlaceOrder):
            self._note(queued.waiting_order(command, arrived))

    def noted(self, account_id: str, order_id: str) -> OrderRecord | None:
        """Return an order of the account that was queued in the last hour; whether it still waits the tables tell."""
        key = _key(order_id)
        try:
            raw = self._cache.call(key, "GET", key)
            found = None if raw is None else _decoder.decode(raw)
        except (CacheAway, CommandError, DecodeError):
            return None
        return found if found is not None and found.placed.account_id == account_id else None

    def is_there(self) -> bool:
        """Tell whether the stream would take a command."""
        return self._stream.is_there()

    def close(self) -> None:
        """Close the stream's connection."""
        self._stream.close()

    def _note(self, order: OrderRecord) -> None:
        key = _key(order.placed.order_id)
        try:
            self._cache.call(key, "SET", key, _encoder.encode(order), "EX", NOTED_S)
        except (CacheAway, CommandError):
            return


def _key(order_id: str) -> str:
    return f"{{{order_id}}}:queued"
