"""What every API function works with, made from its settings on first use and kept; importing it connects nothing."""

from exchange.breaker import Breaker
from exchange.entrance import Entrance
from exchange.gateway_client import GatewayClient
from exchange.limits import Limiter
from exchange.observability import Logger
from exchange.settings import AwsAccess, Edge, load
from exchange.stores.cache import Cache
from exchange.stores.database import IMPATIENT_S, Database, Impatient, Readable
from exchange.stores.leaders import LeaderDirectory
from exchange.stores.markets import Markets
from exchange.stores.order_stream import OrderStream
from exchange.stores.orders import Orders
from exchange.waiting_room import WaitingRoom


class Clients:
    """The stores, the engine, the limits and the log of one environment."""

    def __init__(self, settings: Edge):
        self.settings = settings
        self.logger = Logger(settings.service_name, settings.log_level)
        self.cache = Cache(settings.redis_url)
        self.database = Database(settings.database_url, settings.database_password)
        self.markets = Markets(self.database)
        self.limiter = Limiter(settings, self.cache)
        soon = self.within(IMPATIENT_S)
        directory = LeaderDirectory(self.cache, soon, settings.cell)
        self.engine = GatewayClient(directory, settings.gateway_secret, settings.engine_timeout_ms)
        self.waiting_room = _waiting_room(settings, self.cache)
        self.entrance = Entrance(
            self.engine,
            Breaker(self.cache, settings.cell),
            self.waiting_room,
            Orders(soon, self.markets),
            settings.engine_silence_ms,
        )

    def within(self, seconds: float) -> Readable:
        """Return the database for one who must answer soon: there is another way to do what is asked."""
        return Impatient(self.database, seconds) if self.settings.orders_stream else self.database

    def close(self) -> None:
        """Close every connection; the next use opens what it needs."""
        self.engine.close()
        self.database.close()
        self.cache.close()
        if self.waiting_room is not None:
            self.waiting_room.close()


def _waiting_room(settings: Edge, cache: Cache) -> WaitingRoom | None:
    if not settings.orders_stream:
        return None
    stream = OrderStream(settings.orders_stream, load(AwsAccess))
    return WaitingRoom(stream, cache, settings.cell, settings.gateway_secret)
