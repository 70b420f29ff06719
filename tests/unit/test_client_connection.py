import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.connection import RequestWriter, Response, ResponseError, ResponseReader, address_of
from client.signing import Key

HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 4"
WHOLE = HEAD + b"\r\n\r\nbody"


def test_reader_returns_a_response_that_arrives_whole() -> None:
    assert ResponseReader().feed(WHOLE) == Response(201, HEAD, b"body")


@given(cuts=st.lists(st.integers(1, len(WHOLE) - 1), unique=True).map(sorted))
def test_reader_returns_the_same_response_however_it_is_cut(cuts: list[int]) -> None:
    reader = ResponseReader()
    parts = [WHOLE[start:end] for start, end in zip([0, *cuts], [*cuts, len(WHOLE)], strict=True)]

    fed = [reader.feed(part) for part in parts]

    assert fed == [None] * len(cuts) + [Response(201, HEAD, b"body")]


def test_reader_serves_one_response_after_another() -> None:
    reader = ResponseReader()

    assert [reader.feed(WHOLE) for _ in range(3)] == [Response(201, HEAD, b"body")] * 3


def test_reader_finds_the_length_whatever_its_case() -> None:
    response = ResponseReader().feed(b"HTTP/1.1 200 OK\r\ncONTENT-lENGTH:2\r\n\r\nok")

    assert response is not None
    assert response.body == b"ok"


def test_reader_takes_a_204_without_length_as_empty() -> None:
    assert ResponseReader().feed(b"HTTP/1.1 204 No Content\r\n\r\n") == Response(204, b"HTTP/1.1 204 No Content", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_reader_refuses_what_it_cannot_read(data: bytes) -> None:
    with pytest.raises(ResponseError):
        ResponseReader().feed(data)


def test_writer_writes_a_signed_request_whole() -> None:
    writer = RequestWriter("http://127.0.0.1:8080", Key("ak_test", "s3cret"), window_ms=5000)

    assert writer.written(1763797044123, "POST", "/v1/orders", body=b'{"a":1}') == (
        b"POST /v1/orders HTTP/1.1\r\n"
        b"Host: 127.0.0.1:8080\r\n"
        b"X-Api-Key: ak_test\r\n"
        b"X-Api-Window: 5000\r\n"
        b"X-Api-Timestamp: 1763797044123\r\n"
        b"X-Api-Signature: ad4f01940c4d6ff033f66f8e70c9deed1bf502b1d696c108f53e96ed125a353b\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: 7\r\n"
        b"\r\n"
        b'{"a":1}'
    )


def test_writer_writes_a_public_request_without_signature() -> None:
    written = RequestWriter("http://localhost").written(0, "GET", "/v1/markets/BTC-USD/book", "depth=5")

    assert written == b"GET /v1/markets/BTC-USD/book?depth=5 HTTP/1.1\r\nHost: localhost:80\r\n\r\n"


def test_load_is_not_generated_over_tls() -> None:
    with pytest.raises(ValueError, match="no http address"):
        address_of("https://example.com")
