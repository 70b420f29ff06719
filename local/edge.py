"""The local edge in one process: load balancer, Runtime API, invoke endpoint; `python -m local.edge --template FILE`.

It prints one JSON line with its ports when it listens, then serves until SIGTERM.
"""

import argparse
import asyncio
import importlib.util
import json
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import BinaryIO

from local import bindings, template
from local.children import BACKGROUND, HANDLERS
from local.cloudformation import TemplateError
from local.environments import Bounds, Pool, error_document
from local.http_server import Limits, Request, Server
from local.load_balancer import LoadBalancer
from local.runtime_api import JSON, Invocation, Outcome, refusal
from local.template import Wiring

INVOKE = b"/2015-03-31/functions/"
INVOKE_LIMITS = Limits(body_bytes=6 << 20, idle_seconds=3600, request_seconds=60)
DRAIN_SECONDS = 2.0


class InvokeEndpoint:
    """Lambda's Invoke call (RequestResponse) for the event-source poller, and the pids of all environments."""

    def __init__(self, pools: dict[str, Pool]) -> None:
        self._pools = pools
        self.server = Server(self._serve, INVOKE_LIMITS, refusal)

    def _serve(self, request: Request) -> None:
        connection = request.connection
        if request.method == "GET" and request.target == b"/environments":
            pids = {name: pool.pids() for name, pool in self._pools.items()}
            connection.respond(request, 200, JSON, json.dumps(pids).encode())
            return
        name = request.target.removeprefix(INVOKE).removesuffix(b"/invocations").decode("latin-1")
        if request.method != "POST" or name not in self._pools:
            connection.respond(request, 404, *refusal(404))
            return

        def answered(outcome: Outcome) -> None:
            if outcome.kind == "answer":
                connection.respond(request, 200, JSON, outcome.payload)
            elif outcome.kind in ("capacity", "waited"):
                connection.respond(request, 429, JSON, error_document(outcome))
            else:
                lines = JSON + b"X-Amz-Function-Error: Unhandled\r\n"
                connection.respond(request, 200, lines, error_document(outcome))

        self._pools[name].submit(Invocation(request.body, "", answered))


def pools_of(wiring: Wiring, options: argparse.Namespace) -> dict[str, Pool]:
    """Make a pool for each function of the template; those behind the load balancer are kept warm."""
    bound = bindings.read(options.bindings)
    lean = options.environment == "lean" or (
        options.environment == "auto" and importlib.util.find_spec("runtime_client") is None
    )

    def open_log(name: str) -> BinaryIO | None:
        return (options.logs / f"{name}.log").open("ab") if options.logs else None

    targets = {group.function for group in wiring.target_groups.values()}
    return {
        name: Pool(
            function,
            bound.variables_of(function),
            Bounds(environments=options.environments, warm=options.warm if name in targets else 0),
            lean=lean,
            niceness=HANDLERS if name in targets else BACKGROUND,
            open_log=open_log,
        )
        for name, function in wiring.functions.items()
    }


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind and listen; raise `OSError` when the port is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(1024)
    except OSError:
        bound.close()
        raise
    return bound


async def serve(options: argparse.Namespace, wiring: Wiring) -> None:
    """Serve until SIGTERM or SIGINT, then let requests under way end and kill the environments."""
    loop = asyncio.get_running_loop()
    front = socket.socket(fileno=options.fd) if options.fd >= 0 else listening_socket(options.host, options.port)
    inner = socket.socket(fileno=options.invoke_fd) if options.invoke_fd >= 0 else listening_socket("127.0.0.1", 0)
    pools = pools_of(wiring, options)
    port: int = front.getsockname()[1]
    balancer = LoadBalancer(wiring, pools, port, Limits())
    invoke = InvokeEndpoint(pools)
    listeners = [
        await loop.create_server(balancer.server, sock=front, backlog=1024),
        await loop.create_server(invoke.server, sock=inner, backlog=128),
    ]
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    sweeps = [loop.create_task(balancer.server.sweep()), loop.create_task(_sweep(pools))]
    ports = {"message": "listening", "port": port, "invoke_port": inner.getsockname()[1]}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await stopping.wait()
    for listener in listeners:
        listener.close()
    await balancer.server.drain(DRAIN_SECONDS)
    for sweep in sweeps:
        sweep.cancel()
    await asyncio.gather(*(pool.stop() for pool in pools.values()))


async def _sweep(pools: dict[str, Pool]) -> None:
    while True:
        for pool in pools.values():
            pool.sweep()
        await asyncio.sleep(0.05)


def arguments(words: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.edge", description=__doc__)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fd", type=int, default=-1, help="a listening socket, instead of host and port")
    parser.add_argument("--invoke-fd", type=int, default=-1, help="a listening socket for the invoke endpoint")
    parser.add_argument("--bindings", type=Path, help="JSON with the local values of the functions' variables")
    parser.add_argument("--logs", type=Path, help="a folder for the functions' output (default: this process's)")
    parser.add_argument("--environment", choices=("auto", "awslambdaric", "lean"), default="auto")
    parser.add_argument("--environments", type=int, default=8, help="at most that many a function")
    parser.add_argument("--warm", type=int, default=1, help="kept started for each function behind the balancer")
    return parser.parse_args(words)


def main() -> None:
    """Run the edge; a template that cannot be followed is one line and exit code 2."""
    options = arguments(sys.argv[1:])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, most) if most > 0 else 65536, most))
    try:
        wiring = template.read(options.template.resolve())
        run = asyncio.run
        if importlib.util.find_spec("uvloop") is not None:
            import uvloop

            run = uvloop.run
        run(serve(options, wiring))
    except TemplateError as error:
        sys.exit(f"{options.template}: {error}")


if __name__ == "__main__":
    main()
