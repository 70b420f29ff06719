"""The full hash of a state, kept up to date for what each batch changed: replicas that differ anywhere differ in it.

It is the sum modulo 2^256 of the BLAKE2b-256 of each record (key, a zero byte, its bytes), so that a batch costs what
it changed and not what there is. The id of an order or a request that is forgotten leaves the sum.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from exchange.commands import Journaled
from matching_service import records
from matching_service.memory import MAX_RECENT_IDS, REQUEST_WINDOW_US
from matching_service.records import Record
from matching_service.state import Changes, LiveMarket, State

EVERY = 100_000
"""The batch that applies the last of so many commands carries the hash into the journal."""
MODULUS = 1 << 256


def is_due(first_sequence: int, last_sequence: int) -> bool:
    """Say whether the journal takes the hash with the batch of these sequences: by them alone, so on every replica."""
    return last_sequence // EVERY > (first_sequence - 1) // EVERY


def number_of(record: Record) -> int:
    """Return what one record adds to the sum."""
    key, content = record
    return int.from_bytes(blake2b(key.encode() + b"\0" + content, digest_size=32).digest(), "big")


class StateHash:
    """The hash of one live state; made from nothing it costs some microseconds a record."""

    __slots__ = ("_cell", "_numbers", "_recent", "_requests", "_state", "_total", "_unscrubbed")

    def __init__(self, state: State) -> None:
        self._state = state
        self._total = 0
        self._cell = 0
        self._numbers: dict[object, int] = {}
        self._unscrubbed: Iterator[object] | None = None
        self._recent: deque[int] = deque()
        self._requests: deque[tuple[int, int]] = deque()
        self._read()

    def digest(self) -> bytes:
        """Return the hash as of the last `update`."""
        return self._total.to_bytes(32, "big")

    def update(self, journaled: Sequence[Journaled], changes: Changes) -> None:
        """Follow what was applied since the last call, and what changed by it; the next command is not applied yet."""
        for order in changes.orders:
            self._set(order, None if order.ended is not None else records.of_order(order))
        for balance in changes.balances:
            is_there = balance.available or balance.held
            self._set(balance, records.of_balance(balance) if is_there else None)
        for volume in changes.fee_volumes:
            self._set(volume, records.of_fee_volume(volume) if volume.quote else None)
        if changes.assets or changes.accounts or changes.markets or changes.api_keys:
            self._follow_administration(changes)
        self._follow_recent_ids(journaled[0].sequence, changes)
        self._follow_requests(journaled)
        number = number_of(records.of_cell(self._state))
        self._total = (self._total + number - self._cell) % MODULUS
        self._cell = number

    def scrub(self, most: int) -> str | None:
        """Compare up to `most` records with what was hashed of them, others each time; return the key of a wrong one.

        Call it between an `update` and the next command: what differs then was changed by no command.
        """
        if self._unscrubbed is None:
            self._unscrubbed = iter(list(self._numbers))
        for _ in range(most):
            kept = next(self._unscrubbed, None)
            if kept is None:
                self._unscrubbed = None
                return None
            number = self._numbers.get(kept)
            if number is not None and number_of(record := records.of_kept(kept)) != number:
                return record[0]
        return None

    def _read(self) -> None:
        state = self._state
        for listed in state.assets.values():
            self._set(listed, records.of_asset(listed))
        for account in state.accounts.by_id.values():
            self._set(account, records.of_account(account))
        for balance in state.accounts.balances():
            self._set(balance, records.of_balance(balance))
        for market in state.markets.values():
            self._read_market(market)
        for api_key in state.api_keys.values():
            self._set(api_key, records.of_api_key(api_key))
        for order in state.orders.values():
            self._set(order, records.of_order(order))
        for entry in state.recent_ids.entries():
            self._remember(entry)
        for identifier, sequence, time in state.request_ids.entries():
            self._count_requests(time, number_of(records.of_request_id(identifier, sequence, time)))
        self._cell = number_of(records.of_cell(state))
        self._total = (self._total + self._cell) % MODULUS

    def _read_market(self, market: LiveMarket) -> None:
        self._set(market, records.of_market(market))
        for volume in market.fee_volumes():
            self._set(volume, records.of_fee_volume(volume))

    def _set(self, kept: object, record: Record | None) -> None:
        """Let the record of an object be this one from now on."""
        if record is None:
            self._total -= self._numbers.pop(kept, 0)
            return
        number = number_of(record)
        self._total += number - self._numbers.get(kept, 0)
        self._numbers[kept] = number

    def _follow_administration(self, changes: Changes) -> None:
        for listed in changes.assets:
            self._set(listed, records.of_asset(listed))
        for account in changes.accounts:
            self._set(account, records.of_account(account))
        for market in changes.markets:
            self._set(market, records.of_market(market))
        for api_key in changes.api_keys:
            self._set(api_key, None if api_key.deleted else records.of_api_key(api_key))

    def _follow_recent_ids(self, first_sequence: int, changes: Changes) -> None:
        entered = [
            (order.placed.order_id, order.first_sequence)
            for order in changes.orders
            if order.first_sequence >= first_sequence
        ]
        if changes.transfers:
            entered += [(entry.identifier, entry.sequence) for entry in changes.transfers]
            entered.sort(key=lambda entry: entry[1])
        for entry in entered:
            self._remember(entry)
        while len(self._recent) > MAX_RECENT_IDS:
            self._total -= self._recent.popleft()

    def _remember(self, entry: tuple[str, int]) -> None:
        number = number_of(records.of_recent_id(*entry))
        self._recent.append(number)
        self._total += number

    def _follow_requests(self, journaled: Sequence[Journaled]) -> None:
        for entry in journaled:
            request_id = getattr(entry.command, "request_id", "")
            if request_id:
                record = records.of_request_id(request_id, entry.sequence, entry.time)
                self._count_requests(entry.time, number_of(record))
        requests = self._requests
        while requests and requests[0][0] + REQUEST_WINDOW_US < self._state.time:
            self._total -= requests.popleft()[1]

    def _count_requests(self, time: int, number: int) -> None:
        """Add the record of a request; those of one time, as a batch has, are forgotten together."""
        self._total += number
        requests = self._requests
        if requests and requests[-1][0] == time:
            number += requests.pop()[1]
        requests.append((time, number))
