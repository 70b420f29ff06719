"""Who signed a request and whether they may: EX1-HMAC-SHA256 in the contract's order; it changes nothing."""

import hmac
import re
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from exchange import signing
from exchange.errors import Rejected
from exchange.http import HttpRequest
from exchange.keys import KeyRing, OpenKey
from exchange.symbols import API_KEY

DEFAULT_WINDOW_MS = "5000"
MAX_WINDOW_MS = 60_000
MAX_AHEAD_MS = 1000
DUMMY_SECRET = "0" * 43
"""What an unknown key's signature is computed with, so that it costs what a known one's does."""

_MILLISECONDS = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FORMS = re.compile(
    " ".join(f"(?:{form.pattern})" for form in (API_KEY, _MILLISECONDS, _MILLISECONDS, _SIGNATURE)), re.ASCII
)
"""All four in one match, which costs a third of four."""


class Caller(Struct, frozen=True):
    """Whoever signed the request; `signature` names the request itself."""

    account_id: str
    api_key: str
    signature: str


class Signed(Struct, frozen=True):
    """The four headers of a signed request, of the right form."""

    api_key: str
    timestamp: str
    window: str
    signature: str


class Authenticator:
    """Checks signed requests against the keys at hand."""

    def __init__(self, keys: KeyRing, now_ms: Callable[[], int]):
        self._keys = keys
        self._now_ms = now_ms

    def caller(self, request: HttpRequest, scope: str) -> Caller:
        """Return who signed the request; raise `Rejected` with the code of the first check that failed."""
        signed = signed_headers(request)
        text = signing.text_to_sign(
            signed.api_key, signed.timestamp, signed.window, request.method, request.path, request.query, request.body
        )
        key = self._keys.key(signed.api_key)
        expected = signing.signature_of(key.secret if key else DUMMY_SECRET, text)
        if not hmac.compare_digest(expected, signed.signature) or key is None:
            raise Rejected("auth.bad_signature", "The signature is not that of this request.")
        if key.deleted:
            raise Rejected("auth.invalid_key", "The key was deleted.")
        self._check_time(int(signed.timestamp), int(signed.window))
        _check_permission(request, key, scope)
        return Caller(key.account_id, key.api_key, signed.signature)

    def _check_time(self, timestamp_ms: int, window_ms: int) -> None:
        now = self._now_ms()
        if now - timestamp_ms > window_ms or timestamp_ms >= now + MAX_AHEAD_MS:
            raise Rejected("auth.expired", "X-Api-Timestamp is outside the window.")


def signed_headers(request: HttpRequest) -> Signed:
    """Return the four headers; raise `Rejected` when one is missing or of another form."""
    api_key, timestamp = request.header("x-api-key"), request.header("x-api-timestamp")
    signature = request.header("x-api-signature")
    if not api_key or not timestamp or not signature:
        raise Rejected("auth.missing", "This call takes X-Api-Key, X-Api-Timestamp and X-Api-Signature.")
    window = request.header("x-api-window")
    signed = Signed(api_key, timestamp, DEFAULT_WINDOW_MS if window is None else window, signature)
    if not _FORMS.fullmatch(f"{api_key} {timestamp} {signed.window} {signature}") or int(signed.window) > MAX_WINDOW_MS:
        problems = tuple(_form_problems(signed))
        raise Rejected("request.invalid", "A header of the signature has another form.", problems)
    return signed


def _form_problems(signed: Signed) -> list[tuple[str, str]]:
    problems = []
    if not API_KEY.fullmatch(signed.api_key):
        problems.append(("X-Api-Key", "must be 1 to 64 letters, digits, _ or -"))
    if not _MILLISECONDS.fullmatch(signed.timestamp):
        problems.append(("X-Api-Timestamp", "must be milliseconds since the epoch"))
    if not _MILLISECONDS.fullmatch(signed.window) or int(signed.window) > MAX_WINDOW_MS:
        problems.append(("X-Api-Window", f"must be milliseconds, at most {MAX_WINDOW_MS}"))
    if not _SIGNATURE.fullmatch(signed.signature):
        problems.append(("X-Api-Signature", "must be 64 lower-case hex digits"))
    return problems


def _check_permission(request: HttpRequest, key: OpenKey, scope: str) -> None:
    if scope not in key.scopes:
        raise Rejected("auth.forbidden", f"The key lacks the scope {scope}.")
    if key.ip_allow_list and not is_listed(request.address, key.ip_allow_list):
        raise Rejected("auth.forbidden", "The key may not be used from this address.")


@lru_cache(1024)
def is_listed(address: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether `address` is one of the addresses, or in one of the networks, of the list."""
    from ipaddress import ip_address, ip_network

    try:
        client = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(client, "ipv4_mapped", None)
    return any((mapped or client) in ip_network(entry, strict=False) for entry in allowed)
