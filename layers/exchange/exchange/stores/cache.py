"""A Redis client of the few commands an API function needs, each bounded by 50 ms; it never waits for a dead Redis.

Written out because importing redis-py costs a cold start 150 ms and each call three times the time of this one.
Speaks RESP2 over TCP or TLS, to one node or to a cluster: a `MOVED` answer teaches it where a slot lives.
"""

import socket
import time
from binascii import crc_hqx
from collections.abc import Callable
from hashlib import sha1
from typing import Any
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 0.05
CONNECT_TIMEOUT_S = 0.05
PAUSE_S = 0.5
"""After a failure nothing is asked for this long, so that a stopped Redis costs a request in two hundred its time."""
SLOTS = 16384
MAX_REDIRECTS = 3
RECEIVE_BYTES = 65_536

Argument = bytes | str | int


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
    """Connections to one Redis, kept between calls; not for use by two threads at once."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic):
        parts = urlsplit(url)
        self._home = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._tls = parts.scheme == "rediss"
        self._credentials = tuple(unquote(part) for part in (parts.username, parts.password) if part)
        self._timeout_s = timeout_s
        self._clock = clock
        self._paused_until = 0.0
        self._nodes: dict[tuple[str, int], _Node] = {}
        self._slots: dict[int, tuple[str, int]] = {}

    def call(self, key: str, *command: Argument) -> Any:
        """Return the answer to one command about `key`: int, bytes, None or a list of these.

        Raise `CacheAway` when Redis cannot be asked now, `CommandError` when it refuses.
        """
        if self._clock() < self._paused_until:
            raise CacheAway("asked too soon after a failure")
        try:
            return self._routed(key, _packed(command))
        except (OSError, EOFError, ValueError) as error:
            self._paused_until = self._clock() + PAUSE_S
            self.close()
            raise CacheAway(str(error) or type(error).__name__) from None

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

    def _routed(self, key: str, request: bytes) -> Any:
        address = self._slots.get(_slot_of(key), self._home) if self._slots else self._home
        asking = False
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._asked(address, request, asking)
            if not isinstance(answer, CommandError):
                return answer
            kind, _, rest = str(answer).partition(" ")
            if kind not in ("MOVED", "ASK"):
                raise answer
            slot, _, place = rest.partition(" ")
            host, _, port = place.rpartition(":")
            address = (host or address[0], int(port))
            asking = kind == "ASK"
            if not asking:
                self._slots[int(slot)] = address
        raise ValueError("too many redirections")

    def _asked(self, address: tuple[str, int], request: bytes, asking: bool) -> Any:
        """Ask one node; a kept connection that was closed meanwhile is replaced once."""
        kept = self._nodes.get(address)
        if kept is not None:
            try:
                return kept.ask(request, asking)
            except TimeoutError:
                raise
            except (OSError, EOFError):
                kept.close()
        node = _Node(address, self._tls, self._timeout_s)
        self._nodes[address] = node
        if self._credentials:
            greeting = node.ask(_packed(("AUTH", *self._credentials)), asking=False)
            if isinstance(greeting, CommandError):
                raise greeting
        return node.ask(request, asking)


class _Node:
    """One connection; what arrives is buffered."""

    __slots__ = ("_arrived", "_read", "_socket")

    def __init__(self, address: tuple[str, int], tls: bool, timeout_s: float):
        plain = socket.create_connection(address, CONNECT_TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = _secured(plain, address[0]) if tls else plain
        self._socket.settimeout(timeout_s)
        self._arrived = b""
        self._read = 0

    def ask(self, request: bytes, asking: bool) -> Any:
        if asking:
            self._socket.sendall(_packed(("ASKING",)) + request)
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


def _secured(plain: socket.socket, host: str) -> socket.socket:
    import ssl

    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _packed(command: tuple[Argument, ...]) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def _slot_of(key: str) -> int:
    opened = key.find("{")
    closed = key.find("}", opened + 1)
    tag = key[opened + 1 : closed] if opened >= 0 and closed > opened + 1 else key
    return crc_hqx(tag.encode(), 0) % SLOTS
