"""Run the workload of `bench.core`, read from a file, through the packages installed here; print their rates as JSON.

Run in an environment of its own: none of these packages is a dependency of the exchange. Each gets its commands in the
form that it takes, made before the clock starts. What one leaves out (accounts, events, ids) is not put in for it.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

Row = Sequence[Any]
"""`["place", number, account, is_buy, price, quantity, is_ioc]` or `["cancel", number, account]`."""


def matching_engine(resting: Sequence[Row], rows: Sequence[Row]) -> float:
    """matching-engine: pure Python with accounts, events and self-trade prevention; no balances."""
    from matching_engine.domain import CancelOrder, NewOrder, SequencedCommand, Side, TimeInForce
    from matching_engine.engine import MatchingEngine

    def command(row: Row, sequence: int) -> Any:
        if row[0] == "cancel":
            return SequencedCommand(sequence, sequence, CancelOrder(row[1], row[2]))
        _, number, account, is_buy, price, quantity, is_ioc = row
        side, tif = Side.BUY if is_buy else Side.SELL, TimeInForce.IOC if is_ioc else TimeInForce.GTC
        return SequencedCommand(sequence, sequence, NewOrder(number, account, side, price, quantity, tif=tif))

    engine = MatchingEngine()
    made = [command(row, sequence) for sequence, row in enumerate([*resting, *rows], 1)]
    return _rate(engine.process, made[: len(resting)], made[len(resting) :])


def lightmatchingengine(resting: Sequence[Row], rows: Sequence[Row]) -> float:
    """lightmatchingengine: pure Python, ids of its own; what an immediate order leaves is canceled in a second call."""
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

    engine = LightMatchingEngine()
    ids: dict[int, int] = {}

    def apply(row: Row) -> None:
        if row[0] == "cancel":
            with suppress(AssertionError):  # how it says that an order is filled already
                engine.cancel_order(ids.pop(row[1]), "BTC-USD")
            return
        _, number, _, is_buy, price, quantity, is_ioc = row
        order, _ = engine.add_order("BTC-USD", price, quantity, Side.BUY if is_buy else Side.SELL)
        if not is_ioc:
            ids[number] = order.order_id
        elif order.leaves_qty:
            engine.cancel_order(order.order_id, "BTC-USD")

    return _rate(apply, resting, rows)


def limit_order_book(resting: Sequence[Row], rows: Sequence[Row]) -> float:
    """limit-order-book: C++ under Cython; it reports no fills."""
    from limit_order_book import LimitOrderBook

    book = LimitOrderBook()

    def apply(row: Row) -> None:
        if row[0] == "cancel":
            if book.has(row[1]):
                book.cancel(row[1])
            return
        _, number, _, is_buy, price, quantity, is_ioc = row
        (book.limit_buy if is_buy else book.limit_sell)(number, quantity, price)
        if is_ioc and book.has(number):
            book.cancel(number)

    return _rate(apply, resting, rows)


def _rate(apply: Callable[[Any], object], before: Sequence[Any], timed: Sequence[Any]) -> float:
    for command in before:
        apply(command)
    started = time.thread_time()
    for command in timed:
        apply(command)
    return len(timed) / (time.thread_time() - started)


RIVALS = {
    "matching-engine 0.1.1": matching_engine,
    "lightmatchingengine 2019.1.4": lightmatchingengine,
    "limit-order-book 3.1.0, fills not reported": limit_order_book,
}


def main(path: str) -> None:
    """Read the workload and print the rate of each."""
    load = json.loads(Path(path).read_text())
    print(json.dumps({name: run(load["resting"], load["commands"]) for name, run in RIVALS.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
