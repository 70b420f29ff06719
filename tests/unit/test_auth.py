"""Who may do what: the checks of a signed request in the contract's order, on a clock and keys of the test's own."""

from collections.abc import Mapping

import pytest

from exchange import sealing
from exchange.auth import Authenticator, Caller, is_listed
from exchange.errors import Rejected
from exchange.http import HttpRequest
from exchange.keys import KeyRing
from exchange.stores.api_keys import ApiKey
from tests.alb import Key, signed_headers

NOW = 1_763_797_044_123
KEY_ENCRYPTION_KEY = "ab" * 32
ALICE = Key("ex_alice", "alice's secret")
DELETED = Key("ex_deleted", "an old secret")


def stored(key: Key, scopes: tuple[str, ...], allowed: tuple[str, ...] = (), deleted: bool = False) -> ApiKey:
    sealed = sealing.seal(KEY_ENCRYPTION_KEY, key.api_key, key.secret)
    return ApiKey(key.api_key, "acc_alice", sealed, scopes, allowed, deleted)


KEYS = {
    "ex_alice": stored(ALICE, ("read", "trade")),
    "ex_deleted": stored(DELETED, ("read",), deleted=True),
    "ex_office": stored(Key("ex_office", "s"), ("read",), ("198.51.100.0/24", "2001:db8::1")),
}


def authenticator() -> Authenticator:
    return Authenticator(KeyRing(KEYS.get, KEY_ENCRYPTION_KEY, lambda: 0.0), lambda: NOW)


def request(
    key: Key = ALICE,
    timestamp: int | str = NOW,
    window: str | None = "5000",
    changed: Mapping[str, str | None] | None = None,
    address: str = "192.0.2.7",
    body: bytes = b"{}",
    method: str = "POST",
) -> HttpRequest:
    """A request signed over what it was meant to be; `changed` replaces headers after that."""
    headers: dict[str, str | None] = {
        **signed_headers(key, str(timestamp), method, "/v1/orders", {"a": "1"}, body, window or "5000"),
        "x-forwarded-for": f"203.0.113.1, {address}",
    }
    if window is None:
        headers["x-api-window"] = None
    headers.update(changed or {})
    several = {name: [value] for name, value in headers.items() if value is not None}
    return HttpRequest(method, "/v1/orders", {"a": "1"}, several, body, "request-1")


def refusal(asked: HttpRequest, scope: str = "read") -> Rejected:
    with pytest.raises(Rejected) as raised:
        authenticator().caller(asked, scope)
    return raised.value


def test_a_right_signature_tells_the_account() -> None:
    asked = request()

    caller = authenticator().caller(asked, "trade")

    assert caller == Caller("acc_alice", "ex_alice", asked.headers["x-api-signature"][0])


def test_the_window_is_five_seconds_where_no_header_says_so() -> None:
    assert authenticator().caller(request(window=None, timestamp=NOW - 5000), "read").account_id == "acc_alice"
    assert refusal(request(window=None, timestamp=NOW - 5001)).code == "auth.expired"


@pytest.mark.parametrize("name", ["x-api-key", "x-api-timestamp", "x-api-signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_header_is_missing_authentication(name: str, value: str | None) -> None:
    refused = refusal(request(changed={name: value}))

    assert (refused.code, refused.status) == ("auth.missing", 401)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("x-api-key", "ex alice", "X-Api-Key"),
        ("x-api-key", "é", "X-Api-Key"),
        ("x-api-key", "a" * 65, "X-Api-Key"),
        ("x-api-timestamp", "now", "X-Api-Timestamp"),
        ("x-api-timestamp", "-1", "X-Api-Timestamp"),
        ("x-api-timestamp", "1.5", "X-Api-Timestamp"),
        ("x-api-timestamp", "1e12", "X-Api-Timestamp"),
        ("x-api-timestamp", "٣", "X-Api-Timestamp"),
        ("x-api-timestamp", "1" * 17, "X-Api-Timestamp"),
        ("x-api-timestamp", " 1763797044123", "X-Api-Timestamp"),
        ("x-api-window", "", "X-Api-Window"),
        ("x-api-window", "60001", "X-Api-Window"),
        ("x-api-window", "-5", "X-Api-Window"),
        ("x-api-window", "5s", "X-Api-Window"),
        ("x-api-signature", "abc", "X-Api-Signature"),
        ("x-api-signature", "A" * 64, "X-Api-Signature"),
        ("x-api-signature", "g" * 64, "X-Api-Signature"),
        ("x-api-signature", "0" * 63, "X-Api-Signature"),
        ("x-api-signature", "0" * 65, "X-Api-Signature"),
    ],
)
def test_a_header_of_another_form_is_a_bad_header(name: str, value: str, field: str) -> None:
    refused = refusal(request(changed={name: value}))

    assert (refused.code, refused.status) == ("request.invalid", 400)
    assert [each for each, _ in refused.fields] == [field]


@pytest.mark.parametrize("name", ["x-api-key", "x-api-timestamp", "x-api-window", "x-api-signature"])
def test_a_repeated_header_is_a_bad_header(name: str) -> None:
    asked = request()
    asked.headers[name] *= 2

    assert (refusal(asked).code, refusal(asked).status) == ("request.invalid", 400)


@pytest.mark.parametrize(
    "asked",
    [
        request(changed={"x-api-signature": "0" * 64}),
        request(changed={"x-api-timestamp": str(NOW + 1)}),
        request(changed={"x-api-window": "6000"}),
        request(Key("ex_alice", "another secret")),
        HttpRequest("POST", "/v1/orders", {"a": "2"}, request().headers, b"{}", "r"),
        HttpRequest("POST", "/v1/orders/", {"a": "1"}, request().headers, b"{}", "r"),
        HttpRequest("GET", "/v1/orders", {"a": "1"}, request().headers, b"{}", "r"),
        HttpRequest("POST", "/v1/orders", {"a": "1"}, request().headers, b"{ }", "r"),
        HttpRequest("POST", "/v1/orders", {}, request().headers, b"{}", "r"),
    ],
)
def test_whatever_was_changed_after_signing_spoils_the_signature(asked: HttpRequest) -> None:
    assert refusal(asked).code == "auth.bad_signature"


def test_an_unknown_key_is_answered_like_a_wrong_signature() -> None:
    unknown, wrong = refusal(request(Key("ex_nobody", "s"))), refusal(request(Key("ex_alice", "s")))

    assert (unknown.code, unknown.status, unknown.detail) == (wrong.code, wrong.status, wrong.detail)


def test_the_dummy_secret_of_unknown_keys_opens_nothing() -> None:
    assert refusal(request(Key("ex_nobody", "0" * 43))).code == "auth.bad_signature"


def test_a_deleted_key_is_told_so_only_with_a_right_signature() -> None:
    assert refusal(request(DELETED)).code == "auth.invalid_key"
    assert refusal(request(Key("ex_deleted", "guess"))).code == "auth.bad_signature"


@pytest.mark.parametrize(("timestamp", "window"), [(NOW - 5000, "5000"), (NOW + 999, "5000"), (NOW, "0")])
def test_a_timestamp_at_the_edge_of_the_window_is_taken(timestamp: int, window: str) -> None:
    assert authenticator().caller(request(timestamp=timestamp, window=window), "read")


@pytest.mark.parametrize(
    ("timestamp", "window"), [(NOW - 5001, "5000"), (NOW + 1000, "5000"), (NOW - 60_001, "60000"), (0, "60000")]
)
def test_a_timestamp_outside_the_window_is_expired(timestamp: int, window: str) -> None:
    assert refusal(request(timestamp=timestamp, window=window)).code == "auth.expired"


def test_a_wrong_signature_is_found_before_an_old_timestamp() -> None:
    assert refusal(request(Key("ex_alice", "guess"), timestamp=0)).code == "auth.bad_signature"


def test_a_deleted_key_is_found_before_an_old_timestamp() -> None:
    assert refusal(request(DELETED, timestamp=0)).code == "auth.invalid_key"


def test_an_old_timestamp_is_found_before_a_missing_scope() -> None:
    assert refusal(request(timestamp=0), "admin").code == "auth.expired"


def test_a_key_without_the_scope_is_forbidden() -> None:
    refused = refusal(request(), "admin")

    assert (refused.code, refused.status) == ("auth.forbidden", 403)


@pytest.mark.parametrize("address", ["198.51.100.1", "198.51.100.255", "2001:db8::1", "::ffff:198.51.100.9"])
def test_a_listed_address_may_use_the_key(address: str) -> None:
    assert authenticator().caller(request(Key("ex_office", "s"), address=address), "read")


@pytest.mark.parametrize("address", ["198.51.101.1", "2001:db8::2", "", "unknown", "203.0.113.1"])
def test_another_address_is_forbidden(address: str) -> None:
    assert refusal(request(Key("ex_office", "s"), address=address)).code == "auth.forbidden"


def test_an_address_is_matched_against_addresses_and_networks() -> None:
    assert is_listed("10.1.2.3", ("10.0.0.0/8",))
    assert not is_listed("11.1.2.3", ("10.0.0.0/8", "2001:db8::/32"))
