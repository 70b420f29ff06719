"""Secrets of API keys at rest: sealed with AES-256-GCM, bound to their key's name; it keeps nothing in memory."""

import base64
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def seal(key_encryption_key: str, api_key: str, secret: str) -> str:
    """Return `secret` sealed, as base64; `key_encryption_key` is 64 hex digits."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(bytes.fromhex(key_encryption_key)).encrypt(nonce, secret.encode(), api_key.encode())
    return base64.b64encode(nonce + sealed).decode()


def opened(key_encryption_key: str, api_key: str, encrypted_secret: str) -> str:
    """Return the secret again; raise `cryptography.exceptions.InvalidTag` when it was sealed for another key."""
    raw = base64.b64decode(encrypted_secret)
    cipher = AESGCM(bytes.fromhex(key_encryption_key))
    return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], api_key.encode()).decode()
