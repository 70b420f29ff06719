"""The canonical form of a signed request and its signature, EX1-HMAC-SHA256; it knows no keys and no clock."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

SCHEME = "EX1-HMAC-SHA256"

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NORMALISED_LATER = re.compile(r"%2f|%2e|%5c|%00|//|\\|(?:^|/)\.\.?(?:/|$)", re.IGNORECASE)
_PATH = re.compile(r"/[!-~]*", re.ASCII)


def decoded(text: str) -> str:
    """Decode one name or value of a query once; raise `ValueError` for what no encoder makes."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("a percent sign must be followed by two hex digits")
    return unquote(text, errors="strict")


def path_problem(path: str) -> str | None:
    """Say why `path` is refused: two servers on its way could read it differently. None when it is plain."""
    if not _PATH.fullmatch(path):
        return "must begin with / and hold printable ASCII only"
    if _NORMALISED_LATER.search(path):
        return "must hold no //, no dot segments and no encoded slash or dot"
    return None


def canonical_query(query: Mapping[str, str]) -> str:
    """Return decoded names and values encoded per RFC 3986, sorted by name."""
    if not query:
        return ""
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


def text_to_sign(
    key: str, timestamp: str, window: str, method: str, path: str, query: Mapping[str, str], body: bytes
) -> bytes:
    """Return the lines that are signed: of the body only its hash, so nothing of it has been parsed yet."""
    body_hash = hashlib.sha256(body).hexdigest()
    lines = (SCHEME, key, timestamp, window, method, path, canonical_query(query), body_hash)
    return "\n".join(lines).encode()


def signature_of(secret: str, text: bytes) -> str:
    """Return the signature of `text` as lower-case hex."""
    return hmac.digest(secret.encode(), text, "sha256").hex()
