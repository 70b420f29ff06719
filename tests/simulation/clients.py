"""Simulated clients and the network to the tasks: messages are late, lost, doubled and out of order."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from exchange import outcomes, wire
from exchange.commands import CancelOrder, Command
from exchange.documents import order_document
from exchange.orders import OrderType, PlaceOrder, Side, TimeInForce, order_id_of
from exchange.wire import Answer
from matching_service import seed
from tests.checkers.history import Call, Kind
from tests.simulation.database import Database
from tests.simulation.node import Node
from tests.simulation.process import Process
from tests.simulation.tables import CELL
from tests.simulation.world import World

SYMBOL = "BTC-USD"
PATIENCE_S = 0.8
AGAIN_S = (0.02, 0.2)


class Network:
    """The way between clients and tasks; `lost` is the share of messages that never arrive."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cut: set[str] = set()
        self.lost = 0.0
        self.doubled = 0.02

    def send(self, node: str, deliver: Callable[[], None]) -> None:
        """Carry one message to or from a task."""
        chance = self.world.chance
        for _ in range(2 if chance.random() < self.doubled else 1):
            if chance.random() >= self.lost:
                late_s = chance.uniform(0.05, 1.5) if chance.random() < 0.02 else 0.0
                self.world.after(chance.uniform(0.0002, 0.002) + late_s, lambda: self._arrive(node, deliver))

    def _arrive(self, node: str, deliver: Callable[[], None]) -> None:
        if node not in self.cut:
            deliver()


class Asked:
    """One request under way: the first reply counts, and a dead task sends none."""

    def __init__(self, network: Network, node: Node, reply: asyncio.Future[wire.Reply]) -> None:
        self.network = network
        self.node = node
        self.process = node.process
        self.replied = reply

    def reply(self, message: wire.Reply) -> None:
        """Send a reply back."""
        if not self.process.is_dead:
            self.network.send(self.node.name, lambda: self._arrive(message))

    def _arrive(self, message: wire.Reply) -> None:
        if not self.replied.done():
            self.replied.set_result(message)


class Trader:
    """A client that sends each command until it is answered, and keeps what it was told."""

    def __init__(self, world: World, network: Network, nodes: list[Node], database: Database, name: str) -> None:
        self.world = world
        self.network = network
        self.nodes = {node.name: node for node in nodes}
        self.database = database
        self.account = seed.account_id_of(name)
        self.chance = Random(f"{name}/{world.chance.random()}")
        self.calls: list[Call] = []
        self.resends = 0
        self._numbers = 0
        self._open: list[str] = []

    async def trade(self, times: int) -> None:
        """Do so many things, with pauses between."""
        for _ in range(times):
            await asyncio.sleep(self.chance.expovariate(4.0))
            drawn = self.chance.random()
            if drawn < 0.65 or not self._open:
                await self._place()
            elif drawn < 0.85:
                await self._cancel()
            else:
                await self._read()

    async def _place(self) -> None:
        self._numbers += 1
        name = f"n{self._numbers}"
        tif = self.chance.choices((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK), (8, 1, 1))[0]
        order = PlaceOrder(
            order_id_of(CELL, self.account, name), self.account, name, SYMBOL, self.chance.choice(list(Side)),
            OrderType.LIMIT, self.chance.randint(1, 50), 3_000_000 + self.chance.randint(-3, 3), tif,
        )  # fmt: skip
        copies = 1 if self.chance.random() < 0.9 else self.chance.randint(2, 4)
        await asyncio.gather(*(self._placed(order) for _ in range(copies)))

    async def _placed(self, order: PlaceOrder) -> None:
        began = self.world.now_ns
        answer = await self._answer(order)
        outcome = outcomes.order_outcome(answer, self.database.tables.engine.market(SYMBOL), "simulated")
        self._keep(Kind.PLACE, began, outcome.status, outcome.document, order.order_id)
        if outcome.status == 201:
            self._open.append(order.order_id)

    async def _cancel(self) -> None:
        order_id = self._open.pop(self.chance.randrange(len(self._open)))
        self._numbers += 1
        request_id = f"x_{self.account}_{self._numbers}"
        began = self.world.now_ns
        answer = await self._answer(CancelOrder(request_id, self.account, order_id))
        market = self.database.tables.engine.market(SYMBOL)
        if answer.code is not None or answer.order is None:
            refused = outcomes.refusal(answer, "simulated", market)
            self._keep(Kind.CANCEL, began, refused.status, refused.document, order_id, request_id)
        else:
            document = outcomes.replayed({"order": order_document(answer.order, market)}, answer)
            self._keep(Kind.CANCEL, began, 200, document, order_id, request_id)

    async def _read(self) -> None:
        """Read one order from the writer, as a function does."""
        began, order_id = self.world.now_ns, self.chance.choice(self._open)
        await asyncio.sleep(self.chance.uniform(0.0005, 0.005))
        record, market = self.database.tables.orders[order_id], self.database.tables.engine.market(SYMBOL)
        document = {"order": order_document(record, market)}
        await asyncio.sleep(self.chance.uniform(0.0005, 0.005))
        self._keep(Kind.ORDER, began, 200, document, order_id)

    def _keep(
        self, kind: Kind, began: int, status: int, document: dict[str, Any], order_id: str, request_id: str = ""
    ) -> None:
        document.pop("request_id", None)
        self.calls.append(
            Call(kind, self.account, began, self.world.now_ns, status, document, order_id, request_id)
        )  # fmt: skip
        self.world.note("answer", kind, order_id, status, document.get("code", ""))

    async def _answer(self, command: Command) -> Answer:
        """Send a command until it is answered."""
        while True:
            answers = await self._attempt(wire.Submit(1, [command]))
            if answers is not None:
                return answers[0]
            self.resends += 1
            await asyncio.sleep(self.chance.uniform(*AGAIN_S))

    async def _attempt(self, request: wire.Submit) -> list[Answer] | None:
        lease = self.database.tables.lease
        known = self.nodes.get(lease.endpoint) if lease is not None else None
        node = known or self.chance.choice(list(self.nodes.values()))
        replied: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
        asked = Asked(self.network, node, replied)
        self.network.send(node.name, lambda: node.receive(asked, request))
        done, _ = await asyncio.wait([replied], timeout=PATIENCE_S)
        if not done:
            return None
        reply = replied.result()
        return reply.answers if isinstance(reply, wire.Answers) else None


def start(traders: list[Trader], world: World, times: int) -> tuple[Process, list[asyncio.Task[None]]]:
    """Let clients trade; their process is never faulted."""
    process = Process(world, "clients")
    tasks: list[asyncio.Task[None]] = []

    def begin() -> None:
        tasks.extend(process.loop.create_task(trader.trade(times)) for trader in traders)

    process.loop.call_soon(begin)
    return process, tasks
