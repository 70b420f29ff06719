"""The canonical form of a request and its signature."""

import pytest

from exchange.signing import canonical_query, decoded, path_problem, signature_of, text_to_sign

EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_signed_text_has_eight_lines_and_no_newline_at_the_end() -> None:
    text = text_to_sign("ex_1", "1700000000000", "5000", "GET", "/v1/orders", {"symbol": "BTC-USD"}, b"")

    assert text == (
        b"EX1-HMAC-SHA256\nex_1\n1700000000000\n5000\nGET\n/v1/orders\nsymbol=BTC-USD\n" + EMPTY_HASH.encode()
    )


def test_a_signature_is_the_hmac_that_openssl_prints() -> None:
    text = text_to_sign("ex_1", "1700000000000", "5000", "POST", "/v1/orders", {}, b'{"symbol":"BTC-USD"}')

    # printf '%s' "$text" | openssl dgst -sha256 -hmac secret
    assert signature_of("secret", text) == "f7e43adb86377ca28330009100ad4a10b782b59f54166d9b6a4acd42c86dee03"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ""),
        ({"b": "2", "a": "1"}, "a=1&b=2"),
        ({"a": ""}, "a="),
        ({"a": "x y"}, "a=x%20y"),
        ({"a": "x+y"}, "a=x%2By"),
        ({"a": "-._~"}, "a=-._~"),
        ({"a": "/?&="}, "a=%2F%3F%26%3D"),
        ({"a": "é"}, "a=%C3%A9"),
        ({"a b": "1"}, "a%20b=1"),
        ({"a": "1", "A": "2"}, "A=2&a=1"),
    ],
)
def test_a_query_is_encoded_once_and_sorted_by_name(query: dict[str, str], expected: str) -> None:
    assert canonical_query(query) == expected


@pytest.mark.parametrize(
    ("raw", "expected"), [("a", "a"), ("a%20b", "a b"), ("a+b", "a+b"), ("%2520", "%20"), ("%C3%A9", "é")]
)
def test_a_value_is_decoded_once(raw: str, expected: str) -> None:
    assert decoded(raw) == expected


@pytest.mark.parametrize("raw", ["%", "%2", "%zz", "%C3", "%FF", "a%"])
def test_a_value_that_no_encoder_makes_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decoded(raw)


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/1-abc", "/v1/a.b", "/v1/...", "/v1/a%20b", "/", "/v1/a~b"])
def test_a_plain_path_is_taken(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "", "v1/orders", "//v1/orders", "/v1//orders", "/v1/orders//", "/v1/../orders", "/v1/..", "/v1/./orders",
        "/v1/%2Forders", "/v1/%2forders", "/v1/%2E%2E/orders", "/v1/%2e", "/v1/a%2Eb", "/v1\\orders", "/v1/%5Corders",
        "/v1/.", "/v1/ orders", "/v1/orders\n", "/v1/örders", "/v1/%00",
    ],
)  # fmt: skip
def test_a_path_that_two_servers_could_read_differently_is_refused(path: str) -> None:
    assert path_problem(path) is not None
