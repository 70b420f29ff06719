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
TIED = """
import os, signal, sys
from local.children import die_with_parent
die_with_parent(signal.SIGTERM)
os.execv(sys.executable, [sys.executable, "-m", "local"])
"""


class NotPrinted(RuntimeError):  # noqa: N818 - reads as what it says
    """The system never said what was waited for; the message is all that it printed."""


class Output:
    """What a process prints, line by line, read by a thread so that it never waits for us."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def line(self, containing: str, seconds: float, since: int = 0) -> str:
        """Return the first line from number `since` on with `containing` in it; wait for it."""

        def found() -> str | None:
            return next((line for line in self.lines[since:] if containing in line), None)

        with self._changed:
            self._changed.wait_for(lambda: self._ended or found() is not None, seconds)
            line = found()
        if line is None:
            raise NotPrinted(f"no line with {containing!r} among:\n" + "\n".join(self.lines[since:]))
        return line

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@dataclass(slots=True)
class System:
    """A running system: where it is, who may sign, which processes it is made of."""

    process: "subprocess.Popen[str]"
    state: Path
    base_url: str
    output: Output
    seen: int = 0  # how many lines `line` has passed

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
        """Wait for the next line with `containing` in it, after the one returned last."""
        line = self.output.line(containing, seconds, self.seen)
        self.seen = self.output.lines.index(line, self.seen) + 1
        return line

    def killed(self, name: str) -> str:
        """Kill one process, wait until it serves again, and return the line that told of its death."""
        since = len(self.output.lines)
        self.kill(name)
        self.output.line(f"{name} serves again", 60.0, since)
        return self.output.line(f"{name} died", 1.0, since)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the system and return the supervisor's exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def command(state: Path, port: int, more: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start `python -m local` as a child that stops when we die, its output line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", TIED],
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
    output = Output(process)
    try:
        ready = output.line("ready http", START_SECONDS)
    except BaseException:
        with process:  # closes its output and waits
            process.kill()
        raise
    return System(process, state, ready.split()[1], output)


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
