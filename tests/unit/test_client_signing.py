import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client.signing import Key, canonical_query, signature, signed_headers
from exchange.signing import signature_of, text_to_sign

KEY = Key("ak_test", "s3cret")


def test_signature_is_the_hmac_of_the_eight_lines() -> None:
    # The hex digits are those of `openssl dgst -sha256 -hmac s3cret` over the eight lines.
    proof = signature(KEY, 1763797044123, 5000, "POST", "/v1/orders", "", b'{"a":1}')

    assert proof == "ad4f01940c4d6ff033f66f8e70c9deed1bf502b1d696c108f53e96ed125a353b"


def test_signature_without_a_body_covers_the_hash_of_the_empty_string() -> None:
    proof = signature(KEY, 1763797044123, 5000, "GET", "/v1/orders", "limit=5&status=open", b"")

    assert proof == "64587133dbc0b8c310b548c6a64d4ec981ec987d9c4e997e7d4cf88fca7c4ae7"


def test_canonical_query_is_sorted_by_name_and_encoded_per_rfc_3986() -> None:
    assert canonical_query({"symbol": "BTC-USD", "from": "2026-11-22T00:00:00Z", "text": "a b/~"}) == (
        "from=2026-11-22T00%3A00%3A00Z&symbol=BTC-USD&text=a%20b%2F~"
    )


@pytest.mark.parametrize(
    "changed",
    [
        (1763797044124, 5000, "POST", "/v1/orders", "", b"{}"),
        (1763797044123, 5001, "POST", "/v1/orders", "", b"{}"),
        (1763797044123, 5000, "PUT", "/v1/orders", "", b"{}"),
        (1763797044123, 5000, "POST", "/v1/order", "", b"{}"),
        (1763797044123, 5000, "POST", "/v1/orders", "a=1", b"{}"),
        (1763797044123, 5000, "POST", "/v1/orders", "", b"{ }"),
    ],
)
def test_signature_changes_with_every_part_of_the_request(changed: tuple[int, int, str, str, str, bytes]) -> None:
    original = signature(KEY, 1763797044123, 5000, "POST", "/v1/orders", "", b"{}")

    assert signature(KEY, *changed) != original


def test_headers_carry_key_time_window_and_signature() -> None:
    headers = signed_headers(KEY, 1763797044123, 5000, "POST", "/v1/orders", "", b'{"a":1}')

    assert headers == {
        "X-Api-Key": "ak_test",
        "X-Api-Timestamp": "1763797044123",
        "X-Api-Window": "5000",
        "X-Api-Signature": "ad4f01940c4d6ff033f66f8e70c9deed1bf502b1d696c108f53e96ed125a353b",
    }


@example(parameters={"a": "1", "a-b": "2"}, body=b"", window_ms=1)
@given(
    parameters=st.dictionaries(st.text(min_size=1), st.text(), max_size=4),
    body=st.binary(max_size=50),
    window_ms=st.integers(1, 60_000),
)
def test_signature_is_the_one_that_the_edge_computes(parameters: dict[str, str], body: bytes, window_ms: int) -> None:
    query = canonical_query(parameters)

    text = text_to_sign("ak_test", "1763797044123", str(window_ms), "POST", "/v1/orders", parameters, body)

    assert signature(KEY, 1763797044123, window_ms, "POST", "/v1/orders", query, body) == signature_of("s3cret", text)
