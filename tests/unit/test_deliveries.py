"""What an event source delivers, and the answer it gets."""

from exchange import stream
from exchange.deliveries import batch_response, deliveries
from tests.executions import SHARD, a_record, an_entry, kinesis_event


def test_records_come_in_the_order_of_their_shard_with_their_sequence_numbers() -> None:
    first, second = a_record(an_entry(10)), a_record(an_entry(11))

    received = deliveries(kinesis_event(first, second))

    assert [(one.sequence_number, one.shard, one.record) for one in received] == [
        ("1000", SHARD, first),
        ("1001", SHARD, second),
    ]


def test_what_is_no_record_is_delivered_with_the_reason() -> None:
    event = kinesis_event(b'{"version":9}', a_record(an_entry(10)))
    event["Records"][1]["kinesis"]["data"] = "not base64!"

    received = deliveries(event)

    assert [one.record for one in received] == [None, None]
    assert received[0].poison == "a stream record of version 9, not 1"
    assert received[1].poison != ""


def test_the_answer_names_exactly_the_failed_records_the_lowest_first() -> None:
    received = deliveries(kinesis_event(*(a_record(an_entry(number)) for number in range(5))))

    answer = batch_response(received, {"1003", "1001"})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1001"}, {"itemIdentifier": "1003"}]}


def test_a_batch_without_failures_is_answered_with_an_empty_list() -> None:
    assert batch_response(deliveries(kinesis_event(stream.encode(a_record()))), set()) == {"batchItemFailures": []}
