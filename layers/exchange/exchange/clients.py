"""What every API function works with, made from its settings on first use and kept; importing it connects nothing."""

from exchange.gateway_client import GatewayClient
from exchange.limits import Limiter
from exchange.observability import Logger
from exchange.settings import Edge
from exchange.stores.cache import Cache
from exchange.stores.database import Database
from exchange.stores.leaders import LeaderDirectory
from exchange.stores.markets import Markets


class Clients:
    """The stores, the engine, the limits and the log of one environment."""

    def __init__(self, settings: Edge):
        self.settings = settings
        self.logger = Logger(settings.service_name, settings.log_level)
        self.cache = Cache(settings.redis_url)
        self.database = Database(settings.database_url, settings.database_password)
        self.markets = Markets(self.database)
        self.limiter = Limiter(settings, self.cache)
        directory = LeaderDirectory(self.cache, self.database, settings.cell)
        self.engine = GatewayClient(directory, settings.gateway_secret, settings.engine_timeout_ms)

    def close(self) -> None:
        """Close every connection; the next use opens what it needs."""
        self.engine.close()
        self.database.close()
        self.cache.close()
