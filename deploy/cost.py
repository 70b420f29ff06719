"""A month's price of each profile, from deploy/prices.json and the sizes in samconfig.toml; it asks nobody."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from deploy.stack import ROOT, target
from local import cloudformation

RATES = (0, 50, 500, 5000)
SECONDS = 730 * 3600
GB = 1e9
PROFILES = {"small": "default", "production": "production"}
BIGGEST = 5


@dataclass(frozen=True, slots=True)
class Basis:
    """What a line of the bill is computed from: prices, assumptions, sizes of the profile, orders a second."""

    prices: Mapping[str, float]
    assumed: Mapping[str, float]
    sizes: Mapping[str, str]
    rate: int

    @property
    def is_production(self) -> bool:
        """Tell the profile with three of everything."""
        return self.sizes["Profile"] == "production"

    @property
    def orders(self) -> float:
        """Return the orders of a month."""
        return self.rate * SECONDS

    def hours(self, price: str, count: float = 1) -> float:
        """Return what `count` of a thing cost that is paid by the hour."""
        return self.prices[price] * 730 * count

    def gigabytes(self, what: str) -> float:
        """Return how much of something the orders of a month make."""
        return self.orders * self.assumed[what] / GB

    @property
    def shards(self) -> float:
        """Return the shards that the rate needs: 1 MB and 1,000 records a second each."""
        needed = self.rate * self.assumed["stream_bytes_an_order"] / 1e6
        return max(1.0, float(self.sizes["StreamShards"]), -(-needed // 1))

    @property
    def capacity(self) -> float:
        """Return the capacity units of the writer."""
        least = float(self.sizes["DatabaseMinCapacity"])
        return max(least, self.rate * self.assumed["acu_an_order_a_second"])


def balancer(b: Basis) -> float:
    """Balancer, its capacity units and its public addresses."""
    units = b.gigabytes("bytes_an_order_at_the_balancer") / 730 / 0.4
    addresses = 3 if b.is_production else 2
    return b.hours("alb_hour") + b.hours("alb_lcu_hour", units) + b.hours("public_address_hour", addresses)


def network(b: Basis) -> float:
    """Endpoints in three zones, or one NAT with its address; and what leaves to the clients."""
    out = b.gigabytes("bytes_an_order_at_the_balancer") / 2 * b.prices["transfer_gb"]
    streamed = b.gigabytes("stream_bytes_an_order")
    if b.is_production:
        return b.hours("endpoint_hour", 15) + streamed * b.prices["endpoint_gb"] + out
    return b.hours("nat_hour") + b.hours("public_address_hour") + streamed * b.prices["nat_gb"] + out


def firewall(b: Basis) -> float:
    """Firewall with five rules."""
    return (
        b.prices["waf_acl"] + 5 * b.prices["waf_rule"] + b.orders / 1e6 * b.prices["waf_million"]
        if b.is_production
        else 0
    )


def functions(b: Basis) -> float:
    """Functions, those kept warm included."""
    memory = float(b.sizes["TradingMemory"]) / 1024
    used = b.orders * b.assumed["seconds_an_order"] * memory
    requests = b.orders / 1e6 * b.prices["lambda_million"]
    warm = float(b.sizes["TradingProvisioned"])
    if not warm:
        return requests + used * b.prices["lambda_gb_second"]
    kept = max(warm, b.rate * b.assumed["seconds_an_order"] / 0.7)
    return (
        requests
        + kept * memory * SECONDS * b.prices["lambda_warm_gb_second"]
        + used * b.prices["lambda_warm_use_gb_second"]
    )


def matching(b: Basis) -> float:
    """Matching service."""
    cpu, memory = float(b.sizes["MatchingCpu"]) / 1024, float(b.sizes["MatchingMemory"]) / 1024
    tasks = float(b.sizes["MatchingTasks"])
    return b.hours("fargate_cpu_hour", cpu * tasks) + b.hours("fargate_gb_hour", memory * tasks)


def database(b: Basis) -> float:
    """Database: capacity, storage, input and output, backups, proxy."""
    instances = 3 if b.is_production else 1
    stored = b.gigabytes("database_bytes_an_order") * b.assumed["hot_days"] / 30.4
    io = b.orders * b.assumed["io_an_order"] / 1e6
    kept = b.hours("aurora_acu_hour", b.capacity * instances) + stored * b.prices["aurora_gb"]
    proxy = b.hours("proxy_acu_hour", max(8.0, b.capacity * instances)) if b.is_production else 0
    return kept + io * b.prices["aurora_io_million"] + stored * b.prices["aurora_backup_gb"] + proxy


def cache(b: Basis) -> float:
    """Cache."""
    return b.hours(b.sizes["CacheNodeType"], float(b.sizes["CacheShards"]) * (3 if b.is_production else 1))


def streams(b: Basis) -> float:
    """Both streams; in production with a week of retention and two readers of their own."""
    records = b.orders / b.assumed["orders_a_record"] / 1e6
    paid = b.hours("shard_hour", 2 * b.shards) + records * b.prices["put_million"]
    if not b.is_production:
        return paid
    read = b.gigabytes("stream_bytes_an_order") * b.prices["fan_out_gb"]
    return paid + b.hours("retention_shard_hour", b.shards) + 2 * (b.hours("fan_out_shard_hour", b.shards) + read)


def search(b: Basis) -> float:
    """Search: nodes, managers, volumes."""
    nodes = 3 if b.is_production else 1
    managers = b.hours(b.sizes["SearchManagerType"], 3) if b.sizes["SearchManagerType"] else 0
    days = b.assumed["search_days" if b.is_production else "search_days_small"]
    copies = 2 if b.is_production else 1
    volume = max(float(b.sizes["SearchVolumeGib"]) * nodes, b.gigabytes("search_bytes_an_order") * days / 30.4 * copies)
    return b.hours(b.sizes["SearchInstanceType"], nodes) + managers + volume * b.prices["search_gb"]


def archive(b: Basis) -> float:
    """Archive after a year, and its writes."""
    month = b.gigabytes("archive_bytes_an_order")
    objects = b.orders / b.assumed["orders_a_record"] / b.assumed["records_an_object"] / 1000
    return 3 * month * b.prices["s3_gb"] + 9 * month * b.prices["s3_archive_gb"] + objects * b.prices["s3_put_thousand"]


def watching(b: Basis) -> float:
    """Logs, alarms, dashboard, insights."""
    fixed = 16 * b.prices["alarm"] + b.prices["dashboard"] + 20 * b.prices["metric"]
    return fixed + b.gigabytes("log_bytes_an_order") * b.prices["log_gb"]


def secrets(b: Basis) -> float:
    """Secrets and key."""
    return 8 * b.prices["secret"] + b.prices["key"]


def entrance(b: Basis) -> float:
    """Accelerator, zone and health checks."""
    return b.hours("accelerator_hour") + b.prices["zone"] + 2 * b.prices["health_check"] if b.is_production else 0


LINES: Mapping[str, Callable[[Basis], float]] = {
    "database": database, "matching service": matching, "functions": functions, "search": search, "streams": streams,
    "network": network, "balancer": balancer, "cache": cache, "watching": watching, "archive": archive,
    "firewall": firewall, "accelerator and names": entrance, "secrets": secrets,
}  # fmt: skip


def bill(profile: str, rate: int) -> dict[str, float]:
    """Return a month's dollars by line."""
    given = json.loads((ROOT / "deploy" / "prices.json").read_text(encoding="utf-8"))
    declared = cloudformation.document(ROOT / "template.yaml")["Parameters"]
    sizes = {name: str(item.get("Default", "")) for name, item in declared.items()}
    basis = Basis(given["prices"], given["assumed"], sizes | target(PROFILES[profile]).parameters, rate)
    return {name: line(basis) for name, line in LINES.items()}


def page() -> str:
    """Return docs/cost.md."""
    given = json.loads((ROOT / "deploy" / "prices.json").read_text(encoding="utf-8"))
    head = [
        "# What it costs",
        "",
        f"Dollars a month in {given['region']}, by `make cost` from `deploy/prices.json` and the sizes in",
        f"`samconfig.toml`: {given['said']}.",
        "",
        "The rate is held all month, day and night; 0 is an exchange that stands ready. Nothing here was read from a",
        "bill: what an order is taken to need stands in the same file. `small` has one instance of each store; what it",
        "would cost at 5,000 orders a second is a price there, not a promise.",
    ]
    return "\n".join([*head, *(line for name in PROFILES for line in _table(name)), ""])


def _table(profile: str) -> list[str]:
    bills = [bill(profile, rate) for rate in RATES]
    rows = sorted(LINES, key=lambda name: -bills[1][name])
    cells = partial("{:,.0f}".format)
    table = [f"| {name} | {' | '.join(cells(each[name]) for each in bills)} |" for name in rows]
    total = f"| **together** | {' | '.join('**' + cells(sum(each.values())) + '**' for each in bills)} |"
    biggest = [sorted(each, key=lambda name: -each[name])[:BIGGEST] for each in bills]
    said = [f"- at {rate:,}: {', '.join(names)}" for rate, names in zip(RATES, biggest, strict=True)]
    columns = " | ".join(f"{rate:,} orders/s" for rate in RATES)
    title = ["", f"## {profile}", f"| line | {columns} |", "|---|" + "---:|" * len(RATES)]
    return [*title, *table, total, "", "The five biggest lines:", "", *said]
