"""The records of the waiting room: sealed, versioned, and how long each of them waits."""

import pytest

from exchange import queued
from exchange.commands import AmendOrder, CancelOrder
from exchange.orders import OrderStatus, OrderType, PlaceOrder, Side, TimeInForce
from exchange.queued import Malformed, QueuedCommand
from tests.engines import at_market, buy

SECRET = "the deployment's secret"
ORDER = buy("1-a", "alice", 2, 100)
SECOND = 1_000_000


@pytest.mark.parametrize("command", [ORDER, CancelOrder("x", "alice", "1-a"), AmendOrder("x", "alice", "1-a", 5, None)])
def test_a_record_carries_its_command_its_cell_and_its_arrival(command: queued.Queueable) -> None:
    entered = QueuedCommand(3, 1_763_797_044_000_000, command)

    assert queued.decode(SECRET, queued.encode(SECRET, entered)) == entered


def test_a_record_of_another_secret_another_version_or_another_kind_is_malformed() -> None:
    whole = queued.encode(SECRET, QueuedCommand(1, 5, ORDER))
    forged = queued.encode(SECRET, QueuedCommand(1, 5, ORDER)).replace(b"alice", b"mally")
    administrative = sealed(b'{"cell":1,"arrived":5,"command":["CreateAsset","XYZ",2]}')

    for data, why in (
        (queued.encode("another", QueuedCommand(1, 5, ORDER)), "not sealed"),
        (forged, "not sealed"),
        (b"\x02" + whole[1:], "version 02, not 01"),
        (b"", "version none, not 01"),
        (whole[:20], "not sealed"),
        (administrative, "CreateAsset"),
        (sealed(b"[]"), "Expected"),
    ):
        with pytest.raises(Malformed, match=why):
            queued.decode(SECRET, data)


def sealed(body: bytes) -> bytes:
    """A record of the right secret whose body is whatever it is."""
    return queued.VERSION + queued._seal(SECRET, body) + body


@pytest.mark.parametrize(
    ("order", "latest_s", "latest_to_take_s"),
    [
        (ORDER, 3600, 10),
        (buy("1-a", "alice", 2, 100, post_only=True), 3600, 3600),
        (buy("1-a", "alice", 2, 100, TimeInForce.IOC), 10, 10),
        (buy("1-a", "alice", 2, 100, TimeInForce.FOK), 10, 10),
        (at_market("1-a", "alice", Side.BUY, 5), 10, 10),
        (buy("1-a", "alice", 2, 100, queue_deadline_ms=60_000), 60, 60),
    ],
)
def test_how_long_an_order_waits_and_may_still_take(order: PlaceOrder, latest_s: int, latest_to_take_s: int) -> None:
    assert queued.deadlines(order, 7 * SECOND) == ((7 + latest_s) * SECOND, (7 + latest_to_take_s) * SECOND)


def test_an_order_that_waits_is_shown_whole_and_without_a_sequence() -> None:
    shown = queued.waiting_order(ORDER, 7)

    assert (shown.status, shown.sequence, shown.remaining_lots, shown.created_time) == (OrderStatus.QUEUED, 0, 2, 7)
    assert shown.placed.type is OrderType.LIMIT


def test_what_an_account_asks_for_stays_together() -> None:
    assert queued.partition_key(3, "acc_alice") == "3/acc_alice"
