"""Where the leader of a cell serves: the copy in Redis first, the lease row when that was wrong; it elects nobody."""

import json

from exchange.gateway_client import Leader
from exchange.stores.cache import Cache, CacheAway, CommandError
from exchange.stores.database import DatabaseAway, Readable


class LeaderDirectory:
    """Finds the leader of one cell."""

    def __init__(self, cache: Cache, database: Readable, cell: int):
        self._cache = cache
        self._database = database
        self._cell = cell

    def leader(self, after_failure: bool) -> Leader | None:
        """Return where the leader serves, None when nobody leads or nobody can tell.

        After a failure the lease row tells: what Redis holds may be why it failed.
        """
        if not after_failure and (cached := self._from_cache()):
            return cached
        try:
            return self._from_database()
        except DatabaseAway:
            return self._from_cache()

    def _from_cache(self) -> Leader | None:
        key = f"{{{self._cell}}}:leader"
        try:
            raw = self._cache.call(key, "GET", key)
        except (CacheAway, CommandError):
            return None
        if raw is None:
            return None
        found = json.loads(raw)
        return _leader(found["endpoint"], found["certificate"])

    def _from_database(self) -> Leader | None:
        found = self._database.rows(
            "SELECT endpoint, certificate FROM lease WHERE cell = %s AND expires > clock_timestamp()", self._cell
        )
        return _leader(*found[0]) if found else None


def _leader(endpoint: str, certificate: str) -> Leader | None:
    host, _, port = endpoint.rpartition(":")
    return Leader(host.strip("[]"), int(port), certificate) if host and port.isdecimal() else None
