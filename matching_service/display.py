"""The committed copy on show: it follows batches and keeps Redis up to date; no order ever waits for it."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg2

from exchange.settings import Service as Settings
from exchange.stores.cache import CacheAway, CommandError
from matching_service import history
from matching_service.candles import INTERVALS_S, KEPT, Candle
from matching_service.database import LOADING, opened
from matching_service.failpoints import NONE, Failpoints
from matching_service.projections import DEEP, SHALLOW, MarketProjection, Projections
from matching_service.redis_writer import RedisWriter

WRITE_EVERY_S = 0.1
DEEP_EVERY_S = 0.15
IDLE_EVERY_S = 1.0
"""An unchanged market is written this often: its day moves on, and a flushed Redis is noticed."""
RETRY_HISTORY_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Shown:
    """How one market stands in Redis: since when, on the monotonic clock, and what it lacks."""

    written_s: float = 0.0
    deep_s: float = 0.0
    lacks_deep: bool = True
    is_whole: bool = False


class Display:
    """The projections of one tenure, begun at `sequence`, and their way into Redis."""

    def __init__(
        self,
        settings: Settings,
        projections: Projections,
        sequence: int,
        now: Callable[[], int],
        failpoints: Failpoints = NONE,
    ) -> None:
        self.settings = settings
        self.now = now
        self.sequence = sequence
        self.projections = projections
        self.redis = RedisWriter(settings.redis_url, settings.cell, KEPT)
        self._written = failpoints.around("redis", self.redis.write)
        self.working = ThreadPoolExecutor(1, "display")
        self.shown: dict[str, Shown] = {}
        self.is_reachable = True

    async def run(self, endpoint: str, certificate: str) -> None:
        """Load the past, then write what changed every 100 ms until canceled."""
        loop = asyncio.get_running_loop()
        filling = asyncio.create_task(self._fill())
        announced = time.monotonic()
        try:
            await self._attempt(loop.run_in_executor(self.working, self.redis.write_leader, endpoint, certificate))
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                for projection in list(self.projections.by_symbol.values()):
                    await self._write(projection)
                if time.monotonic() - announced > IDLE_EVERY_S:
                    announced = time.monotonic()
                    await self._attempt(
                        loop.run_in_executor(self.working, self.redis.write_leader, endpoint, certificate)
                    )
        finally:
            filling.cancel()
            self.working.submit(self.redis.close)  # there, since a write may be under way
            self.working.shutdown(wait=False)

    async def _write(self, projection: MarketProjection) -> None:
        symbol, now = projection.market.symbol, time.monotonic()
        shown = self.shown.setdefault(symbol, Shown())
        is_deep = (projection.is_changed or shown.lacks_deep) and now - shown.deep_s > DEEP_EVERY_S
        if not (projection.is_changed or is_deep) and now - shown.written_s < IDLE_EVERY_S:
            return
        is_whole = projection.is_filled and not shown.is_whole
        is_deep = is_deep or is_whole
        bodies = projection.bodies(self.now(), is_whole, (SHALLOW, DEEP) if is_deep else (SHALLOW,))
        shown.written_s = now
        loop = asyncio.get_running_loop()
        if not await self._attempt(loop.run_in_executor(self.working, self._written, bodies)):
            shown.is_whole = False
            projection.is_changed = True
            return
        shown.is_whole = shown.is_whole or is_whole
        shown.lacks_deep = not is_deep
        if is_deep:
            shown.deep_s = now

    async def _attempt(self, work: "asyncio.Future[bool] | asyncio.Future[None]") -> bool:
        """Tell whether `work` was done; Redis may be away, and comes back by itself."""
        try:
            outcome = await work
        except (CacheAway, CommandError) as error:
            if self.is_reachable:
                logger.warning("Redis cannot be reached", extra={"why": str(error)})
            self.is_reachable = False
            return False
        self.is_reachable = True
        return outcome is not False

    async def _fill(self) -> None:
        """Load trades and candles of the past into every market, again and again until it succeeds."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "history") as loading:
            for projection in list(self.projections.by_symbol.values()):
                while not projection.is_filled:
                    try:
                        past = await loop.run_in_executor(loading, self._past, projection)
                    except psycopg2.Error as error:
                        logger.warning("the past could not be loaded yet", extra={"why": str(error)})
                        await asyncio.sleep(RETRY_HISTORY_S)
                    else:
                        projection.fill(*past)

    def _past(self, projection: MarketProjection) -> tuple[list[str], int | None, dict[str, list[Candle]]]:
        settings, market = self.settings, projection.market
        with opened(settings.database_url, settings.database_password, "history", LOADING) as connection:
            trades, last_price = history.last_trades(connection, market, self.sequence)
            older = {interval: history.candles(connection, market, interval, self.sequence) for interval in INTERVALS_S}
        return trades, last_price, older
