"""What goes wrong in a simulated run, and when: all of it drawn from the seed, and all of it healed in the end."""

from collections.abc import Callable

from tests.simulation.clients import Network
from tests.simulation.database import Database
from tests.simulation.node import FAILPOINTS, Node
from tests.simulation.world import World

FAULTY_S = 6.0
MOST_FAULTS = 6
RESTART_S = (0.2, 2.0)


class Faults:
    """The faults of one seed."""

    def __init__(self, world: World, nodes: list[Node], database: Database, network: Network) -> None:
        self.world = world
        self.nodes = nodes
        self.database = database
        self.network = network
        self._starting: set[str] = set()
        self.kinds: tuple[Callable[[Node], None], ...] = (
            self._crash, self._crash_soon, self._lose_machine, self._hand_over, self._stop, self._cut_from_database,
            self._cut_from_clients, self._step_clock, self._slow_down, self._restart_database, self._lose_messages,
        )  # fmt: skip

    def plan(self) -> None:
        """Draw the faults of the run, and see to it that whoever dies is started again."""
        chance = self.world.chance
        for _ in range(chance.randint(1, MOST_FAULTS)):
            kind, node = chance.choice(self.kinds), chance.choice(self.nodes)
            self.world.after(chance.uniform(0.1, FAULTY_S), lambda kind=kind, node=node: self._do(kind, node))  # type: ignore[misc]
        self._watch()

    def drawn_failpoint(self) -> str:
        """Return where a new process is to die, mostly nowhere."""
        chance = self.world.chance
        if self.world.passed_s > FAULTY_S or chance.random() > 0.4:
            return ""
        name = chance.choice(FAILPOINTS)
        return f"{name}:{1 if name.endswith('take_over') else chance.randint(1, 6)}:crash"

    def _do(self, kind: Callable[[Node], None], node: Node) -> None:
        self.world.note("fault", kind.__name__, node.name)
        kind(node)

    def _watch(self) -> None:
        """Start again what has died, a little later each time."""
        for node in self.nodes:
            if node.process.is_dead and node.name not in self._starting:
                self._starting.add(node.name)
                self.world.after(self.world.chance.uniform(*RESTART_S), lambda node=node: self._start(node))  # type: ignore[misc]
        self.world.after(0.05, self._watch)

    def _start(self, node: Node) -> None:
        self._starting.discard(node.name)
        node.start(self.drawn_failpoint())

    def _crash(self, node: Node) -> None:
        node.crash("kill -9")

    def _crash_soon(self, node: Node) -> None:
        node.process.crash_in = self.world.chance.randint(0, 150)

    def _lose_machine(self, node: Node) -> None:
        node.crash("its machine", is_machine_lost=True)

    def _hand_over(self, node: Node) -> None:
        node.ask_to_end()

    def _stop(self, node: Node) -> None:
        node.process.stop(self.world.chance.uniform(0.3, 3.0))

    def _cut_from_database(self, node: Node) -> None:
        self.database.cut.add(node.name)
        self.world.after(self.world.chance.uniform(0.2, 4.0), lambda: self.database.cut.discard(node.name))

    def _cut_from_clients(self, node: Node) -> None:
        self.network.cut.add(node.name)
        self.world.after(self.world.chance.uniform(0.2, 3.0), lambda: self.network.cut.discard(node.name))

    def _step_clock(self, _node: Node) -> None:
        self.database.clock_us += round(self.world.chance.choice((-1, 1)) * 10 ** self.world.chance.uniform(4, 6))

    def _slow_down(self, _node: Node) -> None:
        self.database.slow_s = self.world.chance.uniform(0.05, 0.5)
        self.world.after(self.world.chance.uniform(0.2, 2.0), self._speed_up)

    def _speed_up(self) -> None:
        self.database.slow_s = 0.0

    def _restart_database(self, _node: Node) -> None:
        self.database.restart()

    def _lose_messages(self, _node: Node) -> None:
        self.network.lost = self.world.chance.uniform(0.05, 0.5)
        self.world.after(self.world.chance.uniform(0.5, 3.0), self._lose_none)

    def _lose_none(self) -> None:
        self.network.lost = 0.0
