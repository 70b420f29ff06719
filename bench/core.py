"""Measure the pure core on the mixed workload: the book alone, then the engine; it starts no process and no network.

The workload: 50 % limit orders near the middle, 40 % cancels, 10 % orders that trade at once; 1,000 or 1,000,000
orders rest from the beginning. Rates are by the processor's time of the one thread that does it all, so that what else
runs on the machine counts less. Run `python -m bench.core [--resting N …] [--commands N] [--runs N]`.
"""

import argparse
import hashlib
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.json import Decoder, Encoder

from exchange import commands as journal_commands
from exchange import events as journal_events
from exchange.commands import CancelOrder, Command, CreateAccount, CreateAsset, CreateMarket, Journaled, Transfer
from exchange.events import Event
from exchange.markets import Market, MarketStatus
from exchange.orders import OrderStatus, OrderType, PlaceOrder, Side, TimeInForce, order_id_of
from matching_service import engine as engine_module
from matching_service.accounts import Balance, Trader
from matching_service.book import BUY, Book, Order
from matching_service.engine import Engine

SYMBOL = "BTC-USD"
MIDDLE_TICKS = 5_000_000
MEAN_DISTANCE_TICKS = 50
"""How far from the middle a limit order is placed on average; its tail is exponential."""
MARKETABLE_TICKS = 1_000
BATCH = 100
TIME = 1_763_797_044_000_000
MARKET = Market(
    SYMBOL, "BTC", "USD", MarketStatus.OPEN, 10**16, 10**13, 10**8, 10**9, 10**6, 2 * 10**6, None, 1, "local", 8, 8
)  # fmt: skip
encode = Encoder().encode
decode = Decoder(list[Command]).decode


@dataclass(frozen=True)
class Workload:
    """The accounts, the orders that rest before the clock starts, and the commands that are timed."""

    accounts: list[str]
    resting: list[PlaceOrder]
    commands: list[Command]


def workload(resting: int, commands: int, seed: int = 7) -> Workload:
    """Return the mixed workload: the same for the same arguments."""
    chance = random.Random(seed)
    accounts = [f"account{number:025}" for number in range(max(20, resting // 500))]
    number = 0

    def order(eagerness: int, tif: TimeInForce) -> PlaceOrder:
        nonlocal number
        number += 1
        account, client_order_id = chance.choice(accounts), f"x_{number:032x}"
        side = chance.choice((Side.BUY, Side.SELL))
        price = MIDDLE_TICKS + (eagerness if side is BUY else -eagerness)
        lots = 5000 + chance.randrange(10_000)
        order_id = order_id_of(1, account, client_order_id)
        return PlaceOrder(order_id, account, client_order_id, SYMBOL, side, OrderType.LIMIT, lots, price, tif)

    def passive(mean_distance: float) -> PlaceOrder:
        return order(-1 - int(chance.expovariate(1 / mean_distance)), TimeInForce.GTC)

    before = [passive(max(MEAN_DISTANCE_TICKS, resting / 200)) for _ in range(resting)]
    timed: list[Command] = []
    open_orders = list(before)
    for _ in range(commands):
        kind = chance.random()
        if kind < 0.5:
            placed = passive(MEAN_DISTANCE_TICKS)
            timed.append(placed)
            open_orders.append(placed)
        elif kind < 0.9:
            index = chance.randrange(len(open_orders))
            open_orders[index], open_orders[-1] = open_orders[-1], open_orders[index]
            placed = open_orders.pop()
            timed.append(CancelOrder(f"x_{len(timed):032x}", placed.account_id, placed.order_id))
        else:
            timed.append(order(MARKETABLE_TICKS, TimeInForce.IOC))
    return Workload(accounts, before, timed)


class BareBook:
    """The book with an index of its orders and nothing else: no money, no rules, no events."""

    def __init__(self, load: Workload) -> None:
        self.book = Book(MARKET.quote_units_per_tick_lot)
        self.orders: dict[str, Order] = {}
        self.traders = {name: Trader(name, Balance(name, "BTC"), Balance(name, "USD")) for name in load.accounts}
        for placed in load.resting:
            self.apply(placed)

    def apply(self, command: Command) -> None:
        """Match and rest an order, or take one out."""
        book, orders = self.book, self.orders
        if type(command) is CancelOrder:
            order = orders.pop(command.order_id, None)
            if order is not None:
                order.ended = OrderStatus.CANCELED
                book.remove(order)
            return
        assert type(command) is PlaceOrder
        assert command.price_ticks is not None
        assert command.quantity_lots is not None
        trader = self.traders[command.account_id]
        key = command.price_ticks if command.side is BUY else -command.price_ticks
        order = Order(command, key, trader, 0, command.quantity_lots, 0, 0, 0, 0, 0)
        fills, _ = book.plan(order)
        for maker, lots in fills:
            maker.remaining_lots -= lots
            order.remaining_lots -= lots
            if not maker.remaining_lots:
                maker.ended = OrderStatus.FILLED
                book.remove(maker)
                del orders[maker.placed.order_id]
        if order.remaining_lots and command.time_in_force is TimeInForce.GTC:
            book.add(order)
            orders[command.order_id] = order


def engine_of(load: Workload) -> Engine:
    """Return an engine with funded accounts and the resting orders in its book."""
    engine = Engine(1)
    setup: list[Command] = [CreateAsset("BTC", 8), CreateAsset("USD", 8), CreateMarket(MARKET)]
    for account in load.accounts:
        setup.append(CreateAccount(f"create-{account}", account, account))
        setup += [Transfer("deposit", account, asset, 10**17, f"first-{asset}") for asset in ("BTC", "USD")]
    for number, command in enumerate([*setup, *load.resting]):
        assert engine.examine(command) is None
        engine.apply(command, TIME + number // BATCH)
    engine.take_changes()
    return engine


def batches(load: Workload) -> Iterator[list[Command]]:
    """Return the commands in batches of 100, each decoded when it is asked for, as a gateway would."""
    for start in range(0, len(load.commands), BATCH):
        yield decode(encode(load.commands[start : start + BATCH]))


def book_rate(load: Workload) -> float:
    """Return how many commands a second the book alone does."""
    apply = BareBook(load).apply
    spent = 0.0
    for batch in batches(load):
        started = time.thread_time()
        for command in batch:
            apply(command)
        spent += time.thread_time() - started
    return len(load.commands) / spent


def engine_rate(load: Workload) -> float:
    """Return how many commands a second the engine does: each examined and applied, changes taken once a batch."""
    engine = engine_of(load)
    now, spent = engine.time, 0.0
    for batch in batches(load):
        now += 1000
        started = time.thread_time()
        for command in batch:
            if engine.examine(command) is None:
                engine.apply(command, now)
        engine.take_changes()
        spent += time.thread_time() - started
    return len(load.commands) / spent


def latencies(apply: Callable[[Command], object], load: Workload) -> list[int]:
    """Return the nanoseconds of each command, sorted."""
    clock = time.perf_counter_ns
    found: list[int] = []
    for batch in batches(load):
        for command in batch:
            started = clock()
            apply(command)
            found.append(clock() - started)
    return sorted(found)


def serialisation_rate(load: Workload) -> float:
    """Return how many commands a second the journal's text and hash chain alone would allow, in batches."""
    engine = engine_of(load)
    applied: list[tuple[list[Journaled], list[list[Event]]]] = []
    for batch in batches(load):
        journaled, happened = [], []
        for command in batch:
            happened.append(engine.apply(command, engine.time))
            journaled.append(Journaled(engine.sequence, engine.time, command))
        applied.append((journaled, happened))
    chain = b""
    started = time.thread_time()
    for journaled, happened in applied:
        body = journal_commands.encoder.encode(journaled) + journal_events.encoder.encode(happened)
        chain = hashlib.blake2b(chain + body, digest_size=32).digest()
    return len(load.commands) / (time.thread_time() - started)


def state_hash_rate(load: Workload) -> float:
    """Return how many commands a second keeping the full hash up to date alone would allow, in batches."""
    engine = engine_of(load)
    state_hash = engine.state_hash()
    spent = 0.0
    for batch in batches(load):
        journaled = []
        for command in batch:
            engine.apply(command, engine.time)
            journaled.append(Journaled(engine.sequence, engine.time, command))
        changes = engine.take_changes()
        started = time.thread_time()
        state_hash.update(journaled, changes)
        spent += time.thread_time() - started
    return len(load.commands) / spent


def measure(resting: int, commands: int, runs: int) -> None:
    """Print one table."""
    load = workload(resting, commands)
    print(f"{resting:,} resting, {commands:,} commands, median of {runs} runs")
    for name, rate, budget in (("book alone", book_rate, 1_000_000), ("engine", engine_rate, 400_000)):
        median = statistics.median(rate(load) for _ in range(runs))
        print(f"  {name:28} {median:>12,.0f} commands/s   {median / budget:6.2f} of the budget of {budget:,}")
    print(f"  {'journal text and hash chain':28} {serialisation_rate(load):>12,.0f} commands/s")
    print(f"  {'full hash, kept up to date':28} {state_hash_rate(load):>12,.0f} commands/s")
    engine = engine_of(load)
    for name, apply in (
        ("book alone", BareBook(load).apply),
        ("engine", lambda command: engine.examine(command) or engine.apply(command, engine.time)),
    ):
        found = latencies(apply, load)
        p50, p99, p999 = (found[int(len(found) * share)] / 1000 for share in (0.5, 0.99, 0.999))
        print(f"  {name:28} p50 {p50:.2f} us   p99 {p99:.2f} us   p99.9 {p999:.2f} us   most {found[-1] / 1000:.0f} us")


def write(load: Workload, path: Path) -> None:
    """Write the workload in plain numbers: what to place, and what to cancel."""
    numbers: dict[str, int] = {}
    accounts = {name: number for number, name in enumerate(load.accounts, 1)}

    def row(command: Command) -> list[object]:
        if isinstance(command, CancelOrder):
            return ["cancel", numbers[command.order_id], accounts[command.account_id]]
        assert isinstance(command, PlaceOrder)
        number = numbers.setdefault(command.order_id, len(numbers) + 1)
        is_ioc = command.time_in_force is TimeInForce.IOC
        of = (accounts[command.account_id], command.side is BUY, command.price_ticks, command.quantity_lots, is_ioc)
        return ["place", number, *of]

    resting = [row(command) for command in load.resting]
    path.write_text(json.dumps({"resting": resting, "commands": [row(command) for command in load.commands]}))


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resting", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dump", type=Path, help="write the workload as JSON, for `bench.rivals`, and measure nothing")
    parser.add_argument("--rates", action="store_true", help="print the two rates of one run as JSON, and nothing else")
    arguments = parser.parse_args()
    if arguments.dump:
        write(workload(arguments.resting[0], arguments.commands), arguments.dump)
        return
    if arguments.rates:
        load = workload(arguments.resting[0], arguments.commands)
        print(json.dumps({"book": book_rate(load), "engine": engine_rate(load)}))
        return
    print(f"the {'plain' if engine_module.__file__.endswith('.py') else 'compiled'} modules")
    for resting in arguments.resting:
        measure(resting, arguments.commands, arguments.runs)


if __name__ == "__main__":
    main()
