"""The events of a load balancer and the answers it takes, without any socket."""

import json
from typing import Any

import pytest

from local import alb_events
from local.alb_events import MalformedAnswer, Received

TRACE = "Root=1-5c536348-3d683b8b04734faae651f476"
LIMIT = 1 << 20


def event_of(
    target: bytes = b"/", headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b"", multi_value: bool = True
) -> dict[str, Any]:
    received = Received("POST", target, [*headers], body, "192.0.2.7", 8080, TRACE)
    path, query = alb_events.path_and_query(target)
    document: dict[str, Any] = json.loads(alb_events.event(received, path, query, "arn", multi_value=multi_value))
    return document


def answered(payload: object, multi_value: bool = True) -> alb_events.Answer:
    return alb_events.answer(json.dumps(payload).encode(), multi_value=multi_value, limit=LIMIT)


def test_an_event_has_the_shape_that_aws_documents() -> None:
    headers = ((b"host", b"x:8080"), (b"accept", b"a"), (b"accept", b"b"), (b"content-type", b"application/json"))

    assert event_of(b"/v1/orders?a=1&b=%20x&a=2&flag", headers, b'{"a":1}') == {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": "POST",
        "path": "/v1/orders",
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["%20x"], "flag": [""]},
        "multiValueHeaders": {
            "host": ["x:8080"],
            "accept": ["a", "b"],
            "content-type": ["application/json"],
            "x-forwarded-for": ["192.0.2.7"],
            "x-forwarded-port": ["8080"],
            "x-forwarded-proto": ["http"],
            "x-amzn-trace-id": [TRACE],
        },
        "body": '{"a":1}',
        "isBase64Encoded": False,
    }


def test_without_the_attribute_an_event_has_single_values_and_the_last_one_wins() -> None:
    document = event_of(b"/?a=1&a=2", ((b"accept", b"a"), (b"accept", b"b")), multi_value=False)

    assert document["queryStringParameters"] == {"a": "2"}
    assert document["headers"]["accept"] == "b"
    assert "multiValueHeaders" not in document
    assert "multiValueQueryStringParameters" not in document


def test_the_client_is_appended_to_the_forwarded_addresses_and_nothing_it_claims_replaces_ours() -> None:
    claimed = ((b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"10.0.0.2"), (b"x-forwarded-proto", b"https"))

    headers = event_of(headers=claimed)["multiValueHeaders"]

    assert headers["x-forwarded-for"] == ["10.0.0.1, 10.0.0.2, 192.0.2.7"]
    assert headers["x-forwarded-proto"] == ["http"]


def test_a_trace_that_comes_in_is_kept_behind_our_own_part() -> None:
    headers = event_of(headers=((b"x-amzn-trace-id", b"Root=1-a-b"),))["multiValueHeaders"]

    assert headers["x-amzn-trace-id"] == ["Self=1-5c536348-3d683b8b04734faae651f476;Root=1-a-b"]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a//b/../c", "/a//b/../c"),
        (b"/a%2Fb%20c", "/a%2Fb%20c"),
        (b"/\xc3\xa9", "/\u00c3\u00a9"),
        (b"http://host:1/a?b", "/a"),
        (b"http://host", "/"),
        (b"*", "*"),
    ],
)
def test_a_path_is_passed_on_as_it_was_received(target: bytes, path: str) -> None:
    assert event_of(target)["path"] == path


@pytest.mark.parametrize(
    ("headers", "body", "text", "encoded"),
    [
        (((b"content-type", b"text/plain; charset=utf-8"),), "é".encode(), "é", False),
        (((b"content-type", b"APPLICATION/JSON"),), b"{}", "{}", False),
        (((b"content-type", b"application/octet-stream"),), b"\x00\x01", "AAE=", True),
        (((b"content-type", b"application/json"), (b"content-encoding", b"gzip")), b"\x00\x01", "AAE=", True),
        (((b"content-type", b"application/json"),), b"\xff", "/w==", True),
        ((), b"x", "eA==", True),
        ((), b"", "", False),
    ],
)
def test_binary_bodies_are_base64(
    headers: tuple[tuple[bytes, bytes], ...], body: bytes, text: str, encoded: bool
) -> None:
    document = event_of(headers=headers, body=body)

    assert (document["body"], document["isBase64Encoded"]) == (text, encoded)


def test_an_answer_keeps_repeated_headers_and_leaves_out_those_of_the_connection() -> None:
    answer = answered(
        {
            "statusCode": 201,
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "Connection": ["close"], "content-length": ["9"]},
            "body": "é",
        }
    )

    assert answer == alb_events.Answer(201, b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", "é".encode())


def test_an_answer_in_base64_is_decoded() -> None:
    assert answered({"statusCode": 200, "body": "AAE=", "isBase64Encoded": True}).body == b"\x00\x01"


def test_single_value_headers_are_taken_where_the_target_group_says_so() -> None:
    answer = answered({"statusCode": 200, "headers": {"A": "1"}, "multiValueHeaders": {"B": ["2"]}}, multi_value=False)

    assert answer.header_lines == b"A: 1\r\n"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        {},
        {"statusCode": "200"},
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": 200, "body": {"not": "a string"}},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
        {"statusCode": 200, "multiValueHeaders": {"a": "not a list"}},
        {"statusCode": 200, "multiValueHeaders": {"a": ["x\r\nSet-Cookie: stolen=1"]}},
        {"statusCode": 200, "multiValueHeaders": {"a b": ["x"]}},
        {"statusCode": 200, "body": "x" * LIMIT},
    ],
)
def test_a_malformed_answer_is_refused(payload: object) -> None:
    with pytest.raises(MalformedAnswer):
        answered(payload)
