"""Signed orders over HTTP, beside an empty handler behind the same load balancer; it starts nothing."""

from collections.abc import Mapping, Sequence

from bench import processors
from bench.accounts import Pair, funded_pairs
from bench.budgets import HTTP, SHARE_OF_EMPTY
from bench.orders import CrossingOrders
from bench.report import Figure, Round, column
from bench.system import System
from client.connection import address_of
from client.load import Clients, Measured, Script, closed_loop, open_loop, run

CLIENTS = (8, 32)
SEED_RATE = 500
SEED_CLIENTS = 64
"""Connections of the open loop: enough for all requests of a tenth of a second."""
WARM_S = 2.0
USED = "processor, "


class RefusedError(Exception):
    """A measurement is worth nothing, since some of its requests were refused or not answered."""


def rounds(system: System, empty_url: str, runs: int, seconds: float) -> list[Round]:
    """Measure the exchange and the empty handler in turn, `runs` times."""
    pairs = funded_pairs(system.known)
    for url in (system.known.base_url, empty_url):
        warm(url, CrossingOrders(url, pairs), max(CLIENTS))
    return [_round(system, empty_url, pairs, seconds) for _ in range(runs)]


def _round(system: System, empty_url: str, pairs: Sequence[Pair], seconds: float) -> Round:
    found: dict[str, float] = {}
    base_url = system.known.base_url
    for count in CLIENTS:
        for name, url in (("orders", base_url), ("empty", empty_url)):
            before = processors.usage(system.state)
            measured = closed(url, CrossingOrders(url, pairs), count, seconds)
            times = measured.percentiles
            found[f"{name} {count} rate"] = measured.rate
            found[f"{name} {count} p50"] = times.p50_ms
            found[f"{name} {count} p99"] = times.p99_ms
            if name == "orders" and count == max(CLIENTS):
                found |= processor_times(before, processors.usage(system.state), len(measured.latencies))
    for name, url in (("orders", base_url), ("empty", empty_url)):
        times = scheduled(url, CrossingOrders(url, pairs), seconds).percentiles
        found[f"{name} {SEED_RATE} p50"], found[f"{name} {SEED_RATE} p99"] = times.p50_ms, times.p99_ms
    return found


def warm(base_url: str, script: Script, count: int) -> None:
    """Let execution environments start; what happens meanwhile is not measured."""
    run(_closed(base_url, script, count, WARM_S))


def closed(base_url: str, script: Script, count: int, seconds: float) -> Measured:
    """Let `count` clients send as fast as they are answered."""
    return checked(run(_closed(base_url, script, count, seconds)))


def scheduled(base_url: str, script: Script, seconds: float) -> Measured:
    """Send the seed's load: `SEED_RATE` a second on a fixed schedule."""
    return checked(run(_scheduled(base_url, script, seconds)))


async def _closed(base_url: str, script: Script, count: int, seconds: float) -> Measured:
    async with Clients(*address_of(base_url), count) as clients:
        return await closed_loop(clients, script, seconds)


async def _scheduled(base_url: str, script: Script, seconds: float) -> Measured:
    async with Clients(*address_of(base_url), SEED_CLIENTS) as clients:
        return await open_loop(clients, script, SEED_RATE, seconds)


def checked(measured: Measured) -> Measured:
    """Return what was measured; raise `RefusedError` where one request in a thousand or more did not succeed."""
    if sum(measured.failed.values()) * 1000 >= len(measured.latencies):
        raise RefusedError(f"answers other than 2xx (0: none at all), by status: {measured.failed}")
    return measured


def processor_times(before: Mapping[str, float], after: Mapping[str, float], orders: int) -> dict[str, float]:
    """Return the microseconds of processor time that each part used for an order, and all together."""
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    each = {f"{USED}{name}": 1e6 * seconds / orders for name, seconds in spent.items() if seconds > 0}
    return each | {f"{USED}all": sum(each.values())}


def figures(environment: str, found: Sequence[Round]) -> list[Figure]:
    """Return the table's lines for one kind of execution environment."""
    lines = []
    for count in CLIENTS:
        lines += [_figure(environment, found, count, figure) for figure in ("rate", "p50", "p99")]
        if environment == "awslambdaric":
            rates = zip(column(found, f"orders {count} rate"), column(found, f"empty {count} rate"), strict=True)
            shares = [100 * orders / empty for orders, empty in rates]
            lines.append(Figure(f"{count} clients, share of empty", "%", shares, budget=SHARE_OF_EMPTY))
    lines += [_figure(environment, found, SEED_RATE, figure) for figure in ("p50", "p99")]
    names = sorted(set.intersection(*(set(each) for each in found)), key=lambda name: -found[0][name])
    lines += [Figure(name, "µs/order", column(found, name)) for name in names if name.startswith(USED)]
    return lines


def _figure(environment: str, found: Sequence[Round], load: int, figure: str) -> Figure:
    return Figure(
        name=f"{load}/s on a fixed schedule, {figure}" if load == SEED_RATE else f"{load} clients, {figure}",
        unit="orders/s" if figure == "rate" else "ms",
        values=column(found, f"orders {load} {figure}"),
        limits=column(found, f"empty {load} {figure}"),
        limit_name="empty handler",
        budget=HTTP.get((environment, load, figure)),
    )
