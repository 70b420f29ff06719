"""Market data into Redis: ready-made bodies, one script a market; it is never waited for by an order.

The script ignores what is older than what is there (a late writer), and tells when what is there is not what was
written last (a flush, a fail-over that lost it), upon which nothing but the whole is written.
"""

import json

from exchange.stores.cache import Cache, Script
from matching_service.projections import KEPT_TRADES, Bodies

TIMEOUT_S = 0.05
NEWER_THERE, OTHER_THERE, WRITTEN = 0, 1, 2

_SCRIPT = """
local there = redis.call('GET', KEYS[1])
if there and tonumber(there) > tonumber(ARGV[1]) then return 0 end
local body = cjson.decode(ARGV[2])
local is_other = ARGV[5] ~= '' and there ~= ARGV[5]
if not body.is_whole and (not there or is_other) then return 1 end
redis.call('SET', KEYS[1], ARGV[1])
for depth, text in pairs(body.books) do redis.call('SET', KEYS[2] .. ':book:' .. depth, text) end
if body.ticker ~= '' then redis.call('SET', KEYS[2] .. ':ticker', body.ticker) end
local trades = KEYS[2] .. ':trades'
if body.is_whole then redis.call('DEL', trades) end
for _, text in ipairs(body.trades) do redis.call('LPUSH', trades, text) end
redis.call('LTRIM', trades, 0, tonumber(ARGV[3]) - 1)
for interval, candles in pairs(body.candles) do
    local key = KEYS[2] .. ':candles:' .. interval
    if body.is_whole then redis.call('DEL', key) end
    for _, candle in ipairs(candles) do
        redis.call('ZREMRANGEBYSCORE', key, candle[1], candle[1])
        redis.call('ZADD', key, candle[1], candle[2])
    end
    redis.call('ZREMRANGEBYRANK', key, 0, -tonumber(ARGV[4]) - 1)
end
return 2
"""


class RedisWriter:
    """The leader's way to Redis, one node or a cluster; every call returns within about 50 ms or raises.

    `CacheAway` when it cannot be asked now, `CommandError` when it refuses.
    """

    def __init__(self, url: str, cell: int, kept_candles: int, timeout_s: float = TIMEOUT_S) -> None:
        self.cell = cell
        self.kept_candles = kept_candles
        self.cache = Cache(url, timeout_s)
        self.script = Script(_SCRIPT)
        self.written: dict[str, int] = {}

    def write_leader(self, endpoint: str, certificate: str) -> None:
        """Tell the edges where the leader is."""
        key = f"{{{self.cell}}}:leader"
        self.cache.call(key, "SET", key, json.dumps({"endpoint": endpoint, "certificate": certificate}))

    def write(self, bodies: Bodies) -> bool:
        """Write one market; False when they need what is not there, so that the whole must be written."""
        payload = {
            "is_whole": bodies.is_whole,
            "books": {str(depth): text for depth, text in bodies.books.items()},
            "ticker": bodies.ticker,
            "trades": bodies.trades,
            "candles": bodies.candles,
        }
        prefix = f"{{{bodies.symbol}}}"
        outcome = self.cache.run(
            self.script,
            (f"{prefix}:sequence", prefix),
            (bodies.sequence, json.dumps(payload), KEPT_TRADES, self.kept_candles, self.written.get(bodies.symbol, "")),
        )
        if outcome == WRITTEN:
            self.written[bodies.symbol] = bodies.sequence
        return bool(outcome != OTHER_THERE)

    def close(self) -> None:
        """Close every connection."""
        self.cache.close()
