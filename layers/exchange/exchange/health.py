"""Whether the parts that an API function works with answer now; it repairs nothing."""

from exchange.clients import Clients
from exchange.errors import Rejected, Unavailable
from exchange.stores.cache import CacheAway, CommandError
from exchange.stores.database import DatabaseAway

SEARCH_TIMEOUT_S = 1.0
SILENCE_MS = 1000
STREAM_LAG_SEQUENCES = 100_000
OK, DOWN = "ok", "down"


class Health:
    """Asks each component once."""

    def __init__(self, clients: Clients):
        self._clients = clients

    def components(self) -> dict[str, str]:
        """Return "ok" or "down" by component."""
        return {
            "engine": self.engine(),
            "database": self.database(),
            "cache": self._cache(),
            "stream": self._stream(),
            "search": self._search(),
        }

    def engine(self) -> str:
        """Tell whether a leader answers."""
        try:
            self._clients.engine.look("ticker", "", SILENCE_MS)
        except (Unavailable, Rejected):
            return DOWN
        return OK

    def waiting_room(self) -> str:
        """Tell whether an order could wait for a leader."""
        room = self._clients.waiting_room
        return OK if room is not None and room.is_there() else DOWN

    def database(self) -> str:
        """Tell whether the tables can be read."""
        try:
            self._clients.database.rows("SELECT 1")
        except DatabaseAway:
            return DOWN
        return OK

    def _cache(self) -> str:
        try:
            self._clients.cache.call("health", "PING")
        except (CacheAway, CommandError):
            return DOWN
        return OK

    def _stream(self) -> str:
        """Tell whether the publisher keeps up with the journal, and orders could wait."""
        if self._clients.waiting_room is not None and self.waiting_room() == DOWN:
            return DOWN
        try:
            found = self._clients.database.rows(
                "SELECT fence.last_sequence - positions.position::bigint FROM fence JOIN positions USING (cell) "
                "WHERE fence.cell = %s AND positions.name = 'executions'",
                self._clients.settings.cell,
            )
        except DatabaseAway:
            return DOWN
        return OK if found and found[0][0] < STREAM_LAG_SEQUENCES else DOWN

    def _search(self) -> str:
        """Tell whether the index answers at all; a refusal of this unsigned call is an answer."""
        from urllib.error import HTTPError
        from urllib.request import urlopen

        try:
            with urlopen(self._clients.settings.search_url, timeout=SEARCH_TIMEOUT_S):  # noqa: S310 - a setting
                return OK
        except HTTPError as error:
            return OK if error.code < 500 else DOWN
        except (OSError, ValueError):
            return DOWN
