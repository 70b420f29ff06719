"""The signature of a request, EX1-HMAC-SHA256; it never sends anything and never asks a clock."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

SCHEME = "EX1-HMAC-SHA256"
MAX_WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Key:
    """An API key with its secret."""

    api_key: str
    secret: str


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return `parameters` as the one text that is both sent and signed: RFC 3986, sorted by name."""
    encoded = [(quote(name, safe=""), quote(value, safe="")) for name, value in parameters.items()]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def signature(key: Key, timestamp_ms: int, window_ms: int, method: str, path: str, query: str, body: bytes) -> str:
    """Return the lower-case hex signature; `query` is canonical already."""
    body_hash = hashlib.sha256(body).hexdigest()
    text = f"{SCHEME}\n{key.api_key}\n{timestamp_ms}\n{window_ms}\n{method}\n{path}\n{query}\n{body_hash}"
    return hmac.digest(key.secret.encode(), text.encode(), "sha256").hex()


def signed_headers(
    key: Key, timestamp_ms: int, window_ms: int, method: str, path: str, query: str, body: bytes
) -> dict[str, str]:
    """Return the four headers that prove who sends the request."""
    return {
        "X-Api-Key": key.api_key,
        "X-Api-Timestamp": str(timestamp_ms),
        "X-Api-Window": str(window_ms),
        "X-Api-Signature": signature(key, timestamp_ms, window_ms, method, path, query, body),
    }
