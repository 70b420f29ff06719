"""A whole system of the bench's own, started as a reader would, in a folder that goes with it; it measures nothing."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from client import credentials
from client.credentials import Credentials

ROOT = Path(__file__).resolve().parents[1]
EMPTY_TEMPLATE = ROOT / "bench" / "empty" / "template.yaml"
PYTHON_PATH = f"PYTHONPATH={ROOT}:{ROOT / 'layers' / 'exchange'}"
START_S = 180.0
STOP_S = 20.0
POLL_S = 0.05
LOG_LINES = 20


class NotStartedError(Exception):
    """A process that should be measured does not serve; the message holds the last lines that it wrote."""


@dataclass(frozen=True, slots=True)
class System:
    """A running system: who may sign, and where its parts are."""

    state: Path
    known: Credentials
    database_url: str
    redis_url: str
    gateway_secret: str
    key_encryption_key: str
    """The database's URL is that of its owner, the password within."""


@contextmanager
def process(*command: str, variables: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process with `variables` added to its environment, its output in `log`; stop it at the end."""
    words = ["env", PYTHON_PATH, *(f"{name}={value}" for name, value in variables.items()), sys.executable, *command]
    with log.open("wb") as output:
        child = subprocess.Popen(words, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(child: subprocess.Popen[bytes], log: Path, beginning: str, seconds: float = START_S) -> str:
    """Return the first line of `log` that begins so; raise `NotStartedError` where none comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines()
        for line in lines:
            if line.startswith(beginning):
                return line
        if child.poll() is not None:
            break
        time.sleep(POLL_S)
    raise NotStartedError("\n".join([f"{child.args!r} did not start:", *lines[-LOG_LINES:]]))


@contextmanager
def running(environment: str) -> Iterator[System]:
    """Start everything with one kind of execution environment, and stop it at the end."""
    with TemporaryDirectory(prefix="exchange-bench-") as folder:
        state, log = Path(folder) / "state", Path(folder) / "log"
        Path(folder).chmod(0o755)  # a PostgreSQL that runs under another user must reach its own folder
        variables = {"STATE": str(state), "PORT": "0", "ENVIRONMENT": environment}
        with process("-m", "local", variables=variables, log=log) as child:
            wait_for(child, log, "ready ")
            yield found(state)


def found(state: Path) -> System:
    """Read what a system wrote about itself into its state folder."""
    values = json.loads((state / "bindings.json").read_text())["values"]
    password = json.loads((state / "secrets.json").read_text())["owner_password"]
    url = urlsplit(values["DATABASE_URL"])
    place = url.netloc.rpartition("@")[2]
    return System(
        state=state,
        known=credentials.read(state / "credentials.json"),
        database_url=urlunsplit(url._replace(netloc=f"postgres:{password}@{place}")),
        redis_url=values["REDIS_URL"],
        gateway_secret=values["GATEWAY_SECRET"],
        key_encryption_key=values["KEY_ENCRYPTION_KEY"],
    )


@contextmanager
def empty_handler(environment: str) -> Iterator[str]:
    """Start the empty handler behind the load balancer of the local run; yield its address."""
    with TemporaryDirectory(prefix="exchange-bench-") as folder:
        log = Path(folder) / "log"
        words = ("-m", "local.edge", "--template", str(EMPTY_TEMPLATE), "--environment", environment)
        with process(*words, variables={}, log=log) as child:
            listening = json.loads(wait_for(child, log, '{"message": "listening"'))
            yield f"http://127.0.0.1:{listening['port']}"
