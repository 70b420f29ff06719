"""The API keys that an environment has met, opened, for a few seconds each; it never logs or prints a secret."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from exchange import sealing
from exchange.errors import Unavailable
from exchange.stores.api_keys import ApiKey
from exchange.stores.database import DatabaseAway

FRESH_S = 3.0
"""A deletion holds within 5 s; so no key is trusted for longer than this, also while the database is away."""
UNKNOWN_S = 0.5
MOST_KEYS = 10_000
SCOPES = ("read", "trade", "admin")


@dataclass(frozen=True, slots=True)
class OpenKey:
    """One key with its secret in the clear."""

    api_key: str
    account_id: str
    secret: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    deleted: bool


class KeyRing:
    """Keys by name, loaded when asked for and kept at most 3 s; the oldest go when there are too many."""

    def __init__(
        self, load: Callable[[str], ApiKey | None], key_encryption_key: str, clock: Callable[[], float]
    ) -> None:
        self._load = load
        self._key_encryption_key = key_encryption_key
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, OpenKey | None]] = OrderedDict()

    def key(self, name: str) -> OpenKey | None:
        """Return the key, deleted or not, None when there is none of this name.

        Raise `Unavailable` when the database is away and the key was not read in the last seconds.
        """
        now = self._clock()
        loaded_at, kept = self._kept.get(name, (-FRESH_S, None))
        if now - loaded_at < (FRESH_S if kept else UNKNOWN_S):
            return kept
        try:
            found = self._load(name)
        except DatabaseAway:
            raise Unavailable("The keys cannot be read now.", execution="none") from None
        opened = self._opened(found, kept) if found else None
        self._kept[name] = (now, opened)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST_KEYS:
            self._kept.popitem(last=False)
        return opened

    def _opened(self, found: ApiKey, kept: OpenKey | None) -> OpenKey:
        if kept is not None and kept.deleted == found.deleted:
            return kept
        secret = sealing.opened(self._key_encryption_key, found.api_key, found.encrypted_secret)
        return OpenKey(found.api_key, found.account_id, secret, found.scopes, found.ip_allow_list, found.deleted)


def new_api_key() -> str:
    """Make the name of a key."""
    return "ex_" + secrets.token_hex(12)


def new_secret() -> str:
    """Make a secret of 256 bits."""
    return secrets.token_urlsafe(32)
