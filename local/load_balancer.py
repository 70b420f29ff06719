"""The load balancer: HTTP requests in, events to functions, answers out; it adds no rule to the template's."""

import os
import time
from collections.abc import Mapping

from local import alb_events
from local.alb_events import MalformedAnswer, Received
from local.environments import Pool
from local.http_server import REASONS, Limits, Request, Server
from local.routing import Router
from local.runtime_api import Invocation, Outcome
from local.template import FixedResponse, Forward, Redirect, TargetGroup, Wiring

HTML = b"Content-Type: text/html\r\n"
STATUS_OF_FAILURE = {"error": 502, "crash": 502, "timeout": 502, "capacity": 503, "waited": 504}


def refusal(status: int) -> tuple[bytes, bytes]:
    """Return the header lines and the HTML page of an answer that comes from the balancer itself."""
    title = f"{status} {REASONS.get(status, b'Unknown').decode()}"
    body = f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>"
    return HTML, f"<html>\r\n<head><title>{title}</title></head>\r\n{body}\r\n</html>\r\n".encode()


class LoadBalancer:
    """One listener with its rules and target groups."""

    def __init__(self, wiring: Wiring, pools: Mapping[str, Pool], port: int, limits: Limits) -> None:
        self._router = Router(wiring.rules, wiring.default)
        self._targets: Mapping[str, TargetGroup] = wiring.target_groups
        self._pools = pools
        self._port = port
        self._answer_limit = limits.body_bytes
        self.server = Server(self._serve, limits, refusal, b"Server: local-load-balancer\r\n")

    def _serve(self, request: Request) -> None:
        host = request.header(b"host")
        if host is None and not request.http10:
            return self._refuse(request, 400)
        if request.method == "TRACE":
            return self._refuse(request, 405)
        if request.method == "CONNECT":
            return self._refuse(request, 400)
        path, query = alb_events.path_and_query(request.target)
        name = (host or b"").decode("latin-1").rsplit(":", 1)[0]
        action = self._router.action(request.method, path, name)
        match action:
            case Forward():
                self._forward(request, path, query, self._targets[action.target_group])
            case FixedResponse():
                lines = f"Content-Type: {action.content_type}\r\n".encode("latin-1")
                request.connection.respond(request, action.status, lines, action.body.encode())
            case Redirect():
                location = self._location(action, path, query, name)
                request.connection.respond(request, action.status, f"Location: {location}\r\n".encode("latin-1"), b"")
        return None

    def _forward(self, request: Request, path: str, query: str, target: TargetGroup) -> None:
        trace_id = f"Root=1-{int(time.time()):08x}-{os.urandom(12).hex()}"
        received = Received(
            request.method,
            request.target,
            request.headers,
            request.body,
            request.connection.peer,
            self._port,
            trace_id,
        )
        payload = alb_events.event(received, path, query, target.arn, multi_value=target.multi_value_headers)

        def answered(outcome: Outcome) -> None:
            if outcome.kind != "answer":
                return self._refuse(request, STATUS_OF_FAILURE[outcome.kind])
            try:
                answer = alb_events.answer(
                    outcome.payload, multi_value=target.multi_value_headers, limit=self._answer_limit
                )
            except MalformedAnswer:
                return self._refuse(request, 502)
            return request.connection.respond(request, answer.status, answer.header_lines, answer.body)

        self._pools[target.function].submit(Invocation(payload, trace_id, answered))

    def _refuse(self, request: Request, status: int) -> None:
        lines, page = refusal(status)
        request.connection.respond(request, status, lines, page)

    def _location(self, action: Redirect, path: str, query: str, host: str) -> str:
        words = {"protocol": "http", "host": host, "port": str(self._port), "path": path.removeprefix("/")}
        location = action.location
        for word, value in (words | {"query": query}).items():
            location = location.replace(f"#{{{word}}}", value)
        return location.removesuffix("?")
