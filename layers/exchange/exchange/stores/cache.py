"""A Redis client of the few commands an API function needs, each bounded by 50 ms; it never waits for a dead Redis.

Written out because importing redis-py costs a cold start 150 ms and each call three times the time of this one.
Speaks RESP2 over TCP or TLS, to one node or to a cluster, whose slots it learns from the first node and from `MOVED`.
A node that fails is left alone for a while, and the others are asked where its slots are now.
"""

import socket
import time
from binascii import crc_hqx
from collections.abc import Callable
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    import ssl

TIMEOUT_S = 0.05
"""For the answers of a call, redirections included, and as much for each connection that it must open first."""
LEAST_WAIT_S = 0.001
PAUSE_S = 0.5
"""A node that failed is not asked for this long, so that a stopped Redis costs a request in two hundred its time."""
SLOTS = 16384
MAX_REDIRECTS = 3
RECEIVE_BYTES = 65_536

Argument = bytes | str | int
Address = tuple[str, int]


class CacheAway(Exception):  # noqa: N818 - says what it means, like the other two of the house
    """Redis did not answer in time, or not at all; the caller goes on without it."""


class CommandError(Exception):
    """Redis refused the command."""


class Script:
    """A Lua script, sent by its digest and in full only to a node that has not seen it."""

    __slots__ = ("digest", "source")

    def __init__(self, source: str):
        self.source = source
        self.digest = sha1(source.encode()).hexdigest()  # noqa: S324 - the name Redis gives a script


class Cache:
    """Connections to one Redis, kept between calls; not for use by two threads at once.

    The URL is `redis[s]://[user:password@]host:port`; `?ssl_ca_certs=FILE` names the only authority to trust.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic):
        parts = urlsplit(url)
        self._home = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._tls = parts.scheme == "rediss"
        self._credentials = tuple(unquote(part) for part in (parts.username, parts.password) if part)
        self._authority = dict(parse_qsl(parts.query)).get("ssl_ca_certs")
        self._timeout_s = timeout_s
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._nodes: dict[Address, _Node] = {}
        self._paused_until: dict[Address, float] = {}
        self._slots: list[Address | None] = [None] * SLOTS
        self._peers: tuple[Address, ...] = ()
        self._knows_slots = False

    def call(self, key: str, *command: Argument) -> Any:
        """Return the answer to one command about `key`: int, bytes, None or a list of these.

        Raise `CacheAway` when Redis cannot be asked now, `CommandError` when it refuses.
        """
        until = self._clock() + self._timeout_s
        request, address, asking = _packed(command), self._address_of(_slot_of(key)), False
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._asked(address, request, asking, until)
            if not isinstance(answer, CommandError):
                return answer
            kind, _, rest = str(answer).partition(" ")
            if kind not in ("MOVED", "ASK"):
                raise answer
            slot, _, place = rest.partition(" ")
            host, _, port = place.rpartition(":")
            address, asking = (host or address[0], int(port)), kind == "ASK"
            if not asking:
                self._slots[int(slot)] = address
        raise CacheAway("too many redirections")

    def run(self, script: Script, keys: tuple[str, ...], arguments: tuple[Argument, ...]) -> Any:
        """Return what `script` returns; all `keys` carry the same hash tag."""
        try:
            return self.call(keys[0], "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except CommandError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return self.call(keys[0], "EVAL", script.source, len(keys), *keys, *arguments)

    def close(self) -> None:
        """Close every connection; the next call opens what it needs."""
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()

    def _address_of(self, slot: int) -> Address:
        """Return who owns a slot, or who may know it."""
        owner = self._slots[slot] or self._home
        return next((each for each in (owner, self._home, *self._peers) if not self._is_paused(each)), owner)

    def _is_paused(self, address: Address) -> bool:
        return self._clock() < self._paused_until.get(address, 0.0)

    def _asked(self, address: Address, request: bytes, asking: bool, until: float) -> Any:
        """Ask one node; a kept connection that was closed meanwhile is replaced once."""
        if self._is_paused(address):
            raise CacheAway("asked too soon after a failure")
        try:
            kept = self._nodes.get(address)
            if kept is not None:
                try:
                    return kept.ask(request, asking, self._left(until))
                except TimeoutError:
                    raise
                except (OSError, EOFError):
                    kept.close()
            began = self._clock()
            node = self._connected(address)
            return node.ask(request, asking, self._left(until + self._clock() - began))
        except (OSError, EOFError, ValueError) as error:
            self._lose(address)
            raise CacheAway(str(error) or type(error).__name__) from None

    def _left(self, until: float) -> float:
        return max(until - self._clock(), LEAST_WAIT_S)

    def _connected(self, address: Address) -> "_Node":
        """Connect, prove the password, and learn the slots where they are not known."""
        if self._tls and self._context is None:
            import ssl

            # Once, since it reads every authority there is where none is named.
            self._context = ssl.create_default_context(cafile=self._authority)
        until = self._clock() + self._timeout_s
        node = self._nodes[address] = _Node(address, self._context, self._timeout_s)
        if self._credentials:
            greeting = node.ask(_packed(("AUTH", *self._credentials)), False, self._left(until))
            if isinstance(greeting, CommandError):
                raise greeting
        if not self._knows_slots:
            self._learn(node.ask(_CLUSTER_SLOTS, False, self._left(until)), address[0])
        return node

    def _learn(self, ranges: Any, host: str) -> None:
        """Note who owns which slots, and who else there is; a server alone refuses to say, and owns all."""
        self._knows_slots = True
        if isinstance(ranges, CommandError):
            return
        peers = []
        for first, last, *places in ranges:
            addresses = [((place[0] or b"").decode() or host, place[1]) for place in places]
            self._slots[first : last + 1] = [addresses[0]] * (last + 1 - first)
            peers += addresses
        self._peers = tuple(peers)

    def _lose(self, address: Address) -> None:
        """Leave a node alone for a while; whoever is asked next is asked who owns its slots now."""
        self._paused_until[address] = self._clock() + PAUSE_S
        if (node := self._nodes.pop(address, None)) is not None:
            node.close()
        self._slots = [None if owner == address else owner for owner in self._slots]
        self._knows_slots = False


class _Node:
    """One connection; what arrives is buffered."""

    __slots__ = ("_arrived", "_read", "_socket")

    def __init__(self, address: Address, context: "ssl.SSLContext | None", timeout_s: float):
        plain = socket.create_connection(address, timeout_s)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = context.wrap_socket(plain, server_hostname=address[0]) if context else plain
        except BaseException:
            plain.close()
            raise
        self._arrived = b""
        self._read = 0

    def ask(self, request: bytes, asking: bool, timeout_s: float) -> Any:
        self._socket.settimeout(timeout_s)
        if asking:
            self._socket.sendall(_ASKING + request)
            self._answer()
        else:
            self._socket.sendall(request)
        return self._answer()

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self._answer() for _ in range(int(rest))]
        if kind == b"+":
            return rest
        if kind == b"-":
            return CommandError(rest.decode(errors="replace"))
        raise ValueError("no Redis answer")

    def _line(self) -> bytes:
        while (end := self._arrived.find(b"\r\n", self._read)) < 0:
            self._receive()
        line, self._read = self._arrived[self._read : end], end + 2
        return line

    def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        while len(self._arrived) < self._read + length + 2:
            self._receive()
        start = self._read
        self._read = start + length + 2
        return self._arrived[start : start + length]

    def _receive(self) -> None:
        received = self._socket.recv(RECEIVE_BYTES)
        if not received:
            raise EOFError("the connection was closed")
        self._arrived = self._arrived[self._read :] + received
        self._read = 0


def _packed(command: tuple[Argument, ...]) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


_ASKING = _packed(("ASKING",))
_CLUSTER_SLOTS = _packed(("CLUSTER", "SLOTS"))


def _slot_of(key: str) -> int:
    opened = key.find("{")
    closed = key.find("}", opened + 1)
    tag = key[opened + 1 : closed] if opened >= 0 and closed > opened + 1 else key
    return crc_hqx(tag.encode(), 0) % SLOTS
