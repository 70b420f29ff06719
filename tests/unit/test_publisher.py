"""What the publisher puts into the stream, under which keys, and what it does when the stream refuses."""

from typing import Any

from exchange.commands import CancelOrders, CreateAsset, DeleteApiKey, Journaled
from exchange.events import ApiKeyDeleted, AssetCreated, CommandRefused, OrderCanceled, OrderRejected
from exchange.markets import Asset
from exchange.orders import Side
from exchange.stream import NO_COMMAND
from matching_service.publisher import chunks, entries_by_key, put
from tests.engines import buy

TIME = 1_763_797_044_000_000


def canceled(symbol: str) -> OrderCanceled:
    return OrderCanceled(f"1-{symbol}", "alice", symbol, Side.BUY, 1, 1, 1, "user", 0, 0)


def test_each_event_goes_under_its_symbol_and_the_command_with_the_first() -> None:
    command = CancelOrders("x", "alice", None, None)
    events = [canceled("BTC-USD"), canceled("ETH-USD"), canceled("BTC-USD")]

    grouped = entries_by_key([Journaled(7, TIME, command)], [list(events)])

    assert list(grouped) == ["BTC-USD", "ETH-USD"]
    [bitcoin], [ether] = grouped["BTC-USD"], grouped["ETH-USD"]
    assert [index for index, _ in bitcoin.events] == [1, 3]
    assert [index for index, _ in ether.events] == [2]
    assert bitcoin.has_command and ether.command == NO_COMMAND


def test_what_has_no_symbol_goes_under_its_account_or_the_system() -> None:
    grouped = entries_by_key(
        [
            Journaled(1, TIME, CreateAsset("BTC", 8)),
            Journaled(2, TIME, DeleteApiKey("x", "ex_1")),
            Journaled(3, TIME, CancelOrders("y", "alice", None, None)),
            Journaled(4, TIME, CancelOrders("z", "bob", None, None)),
            Journaled(5, TIME, buy("o", "alice", 1, 1)),
        ],
        [
            [AssetCreated(Asset("BTC", 8))],
            [ApiKeyDeleted("ex_1", "carol")],
            [],
            [CommandRefused("order.market_closed", "")],
            [OrderRejected("o", "alice", "BTC-USD", "order.market_closed")],
        ],
    )

    assert list(grouped) == ["system", "account/carol", "account/alice", "account/bob", "BTC-USD"]


def test_a_call_takes_no_more_records_and_bytes_than_the_stream_does() -> None:
    many = [{"Data": b"x", "PartitionKey": "k"}] * 1001
    large = [{"Data": b"x" * 1_500_000, "PartitionKey": "k"}] * 3

    assert [len(chunk) for chunk in chunks(many)] == [500, 500, 1]
    assert [len(chunk) for chunk in chunks(large)] == [2, 1]


class Stream:
    """Refuses given records a given number of times and keeps what it took."""

    def __init__(self, refusals: dict[bytes, int]) -> None:
        self.refusals = refusals
        self.taken: list[bytes] = []

    def put_records(self, *, StreamName: str, Records: list[Any]) -> Any:  # noqa: N803
        results: list[dict[str, str]] = []
        for record in Records:
            data = record["Data"]
            if self.refusals.get(data, 0):
                self.refusals[data] -= 1
                results.append({"ErrorCode": "ProvisionedThroughputExceededException"})
            else:
                self.taken.append(data)
                results.append({"SequenceNumber": "1"})
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedRecordCount": failed, "Records": results}


def records(*data: bytes) -> list[dict[str, Any]]:
    return [{"Data": item, "PartitionKey": "k"} for item in data]


def test_only_refused_records_are_put_again_and_in_order() -> None:
    stream = Stream({b"2": 1, b"4": 2})

    assert put(stream, "executions", records(b"1", b"2", b"3", b"4"), (0, 0, 0))
    assert stream.taken == [b"1", b"3", b"2", b"4"]


def test_a_stream_that_goes_on_refusing_is_given_up_for_now() -> None:
    stream = Stream({b"2": 1000})

    assert not put(stream, "executions", records(b"1", b"2"), (0, 0, 0))
    assert stream.taken == [b"1"]
