"""One whole system for the tests: `python -m local` on a state folder and ports of its own; never that of a run.

The session's system is the fixture `exchange`; who breaks one starts another with `started`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240.0
STOP_SECONDS = 15.0


class NotStarted(RuntimeError):  # noqa: N818 - reads as what it says
    """The system ended instead of getting ready; the message is all that it printed."""


@dataclass(slots=True)
class System:
    """A running system: where it is, who may sign, which processes it is made of."""

    process: "subprocess.Popen[str]"
    state: Path
    base_url: str
    printed: list[str]

    @property
    def credentials(self) -> dict[str, Any]:
        """What `.local/credentials.json` holds."""
        document: dict[str, Any] = json.loads(self.credentials_path.read_text())
        return document

    @property
    def credentials_path(self) -> Path:
        """Where the credentials are."""
        return self.state / "credentials.json"

    @property
    def secrets(self) -> dict[str, str]:
        """The generated secrets: passwords of the database's roles among them."""
        document: dict[str, str] = json.loads((self.state / "secrets.json").read_text())
        return document

    @property
    def variables(self) -> dict[str, str]:
        """The local values of the functions' variables: DATABASE_URL, REDIS_URL, SEARCH_URL, AWS_ENDPOINT_URL …"""
        document = json.loads((self.state / "bindings.json").read_text())
        return {**document["values"], **document["always"]}

    def pids(self) -> dict[str, int]:
        """Return the pid of each process that the supervisor watches, by name, as of now."""
        document: dict[str, int] = json.loads((self.state / "processes.json").read_text())
        return document

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process of the system."""
        os.kill(self.pids()[name], number)

    def log(self, name: str) -> str:
        """Return what a process or function wrote so far."""
        return (self.state / "logs" / f"{name}.log").read_text(errors="replace")

    def get(self, path: str) -> Any:
        """GET a public path and return its JSON."""
        with urllib.request.urlopen(f"{self.base_url}{path}", timeout=20) as answer:
            return json.loads(answer.read())

    def line(self, containing: str, seconds: float = 60.0) -> str:
        """Wait for the next line that the supervisor prints with `containing` in it."""
        return _line(self.process, containing, seconds, self.printed)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the system and return the supervisor's exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def command(state: Path, port: int, more: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start `python -m local` as a child, its output line by line."""
    return subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env={**os.environ, "STATE": str(state), "PORT": str(port), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start(state: Path, port: int = 0, more: Mapping[str, str] | None = None) -> System:
    """Start a system on `state` and wait until it is ready; port 0 is any free one."""
    process = command(state, port, more or {})
    printed: list[str] = []
    try:
        ready = _line(process, "ready http", START_SECONDS, printed)
    except BaseException:
        with process:  # closes its output and waits
            process.kill()
        raise
    return System(process, state, ready.split()[1], printed)


@contextlib.contextmanager
def started(state: Path, port: int = 0, more: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run a system for the length of a block."""
    system = start(state, port, more)
    try:
        yield system
    finally:
        with system.process:
            if system.process.poll() is None:
                system.stop()


def processes_of(state: Path) -> list[int]:
    """Return the pids of all live processes that name a state folder, and of their descendants (Linux)."""
    parents, related = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] == "Z":
                continue
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            if str(state).encode() in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes():
                related.add(pid)
    descendants = {pid for pid in parents if any(up in related for up in _ancestors(pid, parents))}
    return sorted((related | descendants) - {os.getpid()})


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


def _line(process: "subprocess.Popen[str]", containing: str, seconds: float, printed: list[str]) -> str:
    assert process.stdout is not None
    alarm = threading.Timer(seconds, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            printed.append(line.rstrip())
            if containing in line:
                return line.rstrip()
    finally:
        alarm.cancel()
    raise NotStarted("\n".join(printed))
