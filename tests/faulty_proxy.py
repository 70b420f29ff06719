"""An HTTP proxy that does, once each and in order, the faults it was told; then it only passes on."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with this and pass nothing on."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class LoseReply:
    """Pass the request on, then close the connection instead of answering."""


@dataclass(slots=True)
class Proxy:
    """A running proxy: `faults` are for the coming requests whose method and path `concerns` names."""

    url: str
    concerns: tuple[str, str]
    faults: deque[Reply | LoseReply] = field(default_factory=deque)
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def faulty_proxy(upstream: str, method: str, path_part: str) -> Iterator[Proxy]:
    """Yield a proxy of the server at `upstream` whose faults concern requests with this method and part of a path.

    The bodies of those requests are kept in `requests`.
    """

    class Handler(_Handler):
        host = urlsplit(upstream).netloc

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.proxy = Proxy(f"http://127.0.0.1:{server.server_port}", (method, path_part))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield Handler.proxy
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: str
    proxy: Proxy

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self._fault(body)
        if isinstance(fault, Reply):
            self._answer(fault)
            return
        reply = self._passed_on(body)
        if isinstance(fault, LoseReply):
            self.close_connection = True
        else:
            self._answer(reply)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the names of the base class

    def _fault(self, body: bytes) -> Reply | LoseReply | None:
        method, path_part = self.proxy.concerns
        if self.command != method or path_part not in self.path:
            return None
        self.proxy.requests.append(body)
        return self.proxy.faults.popleft() if self.proxy.faults else None

    def _passed_on(self, body: bytes) -> Reply:
        connection = HTTPConnection(self.host, timeout=10)
        try:
            hop_by_hop = ("connection", "expect")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in hop_by_hop}
            connection.request(self.command, self.path, body, headers)
            reply = connection.getresponse()
            return Reply(reply.status, reply.read(), reply.headers.get("Content-Type", "application/json"))
        finally:
            connection.close()

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
