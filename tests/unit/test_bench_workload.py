from collections import Counter

from bench.workload import Workload, listings
from exchange.commands import CancelOrder
from exchange.orders import PlaceOrder
from matching_service.engine import Engine

TIME = 1_800_000_000_000_000


def test_mixed_workload_is_done_whole_half_resting_two_fifths_canceled_one_tenth_trading() -> None:
    engine, workload = Engine(1), Workload()
    for command in (*listings(), *workload.accounts(), *workload.depth()):
        assert engine.examine(command) is None
        engine.apply(command, TIME)

    events: Counter[str] = Counter()
    for command in workload.mixed(1000):
        assert engine.examine(command) is None
        events.update(type(event).__name__ for event in engine.apply(command, TIME))

    assert events == {"OrderAccepted": 600, "OrderCanceled": 400, "Trade": 100}


def test_same_seed_gives_the_same_orders_under_new_ids() -> None:
    def shapes(workload: Workload) -> list[tuple[object, ...]]:
        commands = [*workload.depth(), *workload.mixed(200)]
        return [
            (command.symbol, command.side, command.price_ticks) if isinstance(command, PlaceOrder) else (type(command),)
            for command in commands
        ]

    def ids(workload: Workload) -> set[str]:
        commands = [*workload.depth(), *workload.mixed(200)]
        return {command.order_id for command in commands if isinstance(command, PlaceOrder | CancelOrder)}

    assert shapes(Workload()) == shapes(Workload())
    assert not ids(Workload()) & ids(Workload())
