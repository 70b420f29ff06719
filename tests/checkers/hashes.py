"""The full hash of a state by its definition, from nothing: the sum modulo 2^256 of the BLAKE2b-256 of each record."""

import hashlib
from collections.abc import Iterable


def full_hash(records: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the hash of records, each hashed as its key, a zero byte and its bytes."""
    total = 0
    for key, content in records:
        total += int.from_bytes(hashlib.blake2b(key.encode() + b"\0" + content, digest_size=32).digest(), "big")
    return (total % 2**256).to_bytes(32, "big")
