"""PostgreSQL, Valkey and the AWS emulator as the local run starts them, for a system that reaches them by proxies."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import parts, postgres, probes
from local.settings import inherited
from local.state import State
from local.supervisor import Supervisor
from tests.faulty_proxy import Proxy, faulty_proxy
from tests.tcp_proxy import TcpProxy, tcp_proxy

START_S = 60.0


@dataclass(frozen=True, slots=True)
class Stores:
    """Running stores, each behind a proxy, and the variables by which a system is told to use them."""

    database: TcpProxy
    redis: TcpProxy
    aws: Proxy
    variables: dict[str, str]


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """Run fresh stores for the length of the block."""
    state = State(folder)
    state.lock()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    taken: set[int] = set()
    ports = {name: probes.free_port(taken) for name in ("postgres", "valkey", "ministack")}
    supervisor = asyncio.run_coroutine_threadsafe(_started(state, ports), loop).result(START_S)
    try:
        with ExitStack() as proxies:
            database = proxies.enter_context(tcp_proxy(ports["postgres"]))
            redis = proxies.enter_context(tcp_proxy(ports["valkey"]))
            emulator = f"http://127.0.0.1:{ports['ministack']}"
            aws = proxies.enter_context(faulty_proxy(emulator, "POST", "/"))
            secret = state.secrets().owner_password
            place = f"{postgres.OWNER}:{secret}@127.0.0.1:{database.port}"
            variables = {
                "DATABASE_URL": f"postgresql://{place}/{postgres.DATABASE}",
                "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
                "AWS_ENDPOINT_URL": aws.url,
            }
            yield Stores(database, redis, aws, variables)
    finally:
        asyncio.run_coroutine_threadsafe(supervisor.stop(), loop).result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        state.release()


async def _started(state: State, ports: dict[str, int]) -> Supervisor:
    environment = inherited()
    supervisor = Supervisor(state, lambda _: None)
    secret = state.secrets().owner_password
    server = await postgres.prepare(state.folder / "postgres", state.secrets(), environment)
    url = f"postgresql://{postgres.OWNER}@127.0.0.1:{ports['postgres']}/{postgres.DATABASE}"
    await asyncio.gather(
        supervisor.start(postgres.part(server, ports["postgres"], url, secret, environment)),
        supervisor.start(parts.valkey(ports["valkey"], state, environment)),
        supervisor.start(parts.emulator(ports["ministack"], state, environment)),
    )
    return supervisor
