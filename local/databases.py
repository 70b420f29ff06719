"""The database of a local system: one PostgreSQL server alone, or two that are kept as one behind an endpoint."""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from local import postgres, probes, replication
from local.keeper import ENDPOINT, Keeper
from local.replication import Node
from local.roles import NODES, had_two, roles_of, without_copy
from local.state import Secrets, State
from local.supervisor import Part, Supervisor


async def alone(
    state: State, secrets: Secrets, supervisor: Supervisor, environment: Mapping[str, str], port: int
) -> None:
    """Start the one server of a database, the one of two that holds the truth where there were two."""
    server = await postgres.prepare(without_copy(state.folder), secrets, environment)
    node = Node(server, port, secrets.owner_password)
    await supervisor.start(postgres.part(server, port, node.url, node.password, environment))
    if had_two(state.folder):
        await asyncio.to_thread(replication.stand_alone, node)


async def replicated(
    state: State,
    secrets: Secrets,
    supervisor: Supervisor,
    environment: Mapping[str, str],
    listener: socket.socket,
    ports: Sequence[int],
    say: Callable[[str], None],
) -> Keeper:
    """Start both servers of a database behind `listener`; the caller then lets the keeper keep them."""
    nodes = []
    for name, port in zip(NODES, ports, strict=True):
        data = state.folder / name
        is_primary = name == roles_of(state.folder).primary
        server = await (postgres.prepare(data, secrets, environment) if is_primary else postgres.at(data))
        nodes.append(Node(server, port, secrets.owner_password))
    keeper = Keeper(state, nodes, supervisor, environment, say)
    await keeper.start()
    await supervisor.start(_endpoint(state, listener.fileno(), environment))
    return keeper


def _endpoint(state: State, fd: int, environment: Mapping[str, str]) -> Part:
    command = (sys.executable, "-m", "local.endpoint", "--fd", str(fd), "--target", str(state.folder / ENDPOINT))
    ready = probes.logs_message(state.log_path(ENDPOINT), "forwarding")
    return Part(ENDPOINT, command, environment, ready, pass_fds=(fd,))
