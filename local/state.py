"""The state folder of one local system: its lock, secrets and logs; it never holds anything of another system."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 64 << 20


class InUseError(RuntimeError):
    """Another run holds this state; the message says which."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once and kept: who has these can read and write everything of this system."""

    gateway_secret: str
    key_encryption_key: str
    owner_password: str
    service_password: str
    functions_password: str


class State:
    """The folder; hold its lock for as long as anything in it is used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self._lock: BinaryIO | None = None

    def lock(self) -> None:
        """Take the folder for this process; raise `InUseError` when another has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        lock = (self.folder / "lock").open("a+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().decode() or "another process"
            lock.close()
            raise InUseError(f"{self.folder} is in use by {holder}: stop that one first") from None
        self._lock = lock
        self.tell("starting")

    def release(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def tell(self, doing: str) -> None:
        """Write into the lock file who holds it."""
        assert self._lock is not None, "the state is locked first"
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} ({doing})".encode())
        self._lock.flush()

    def remove(self) -> None:
        """Delete the whole folder; raise `InUseError` when it is in use."""
        if self.folder.exists():
            self.lock()
            shutil.rmtree(self.folder)
            self.release()

    def secrets(self) -> Secrets:
        """Return this system's secrets, made at the first call."""
        path = self.folder / "secrets.json"
        if not path.exists():
            names = Secrets.__annotations__
            write_private(path, json.dumps({name: secrets.token_hex(32) for name in names}, indent=1))
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))

    def write_processes(self, pids: Mapping[str, int]) -> None:
        """Note the pids of the processes, by name, for people and for tests."""
        write_private(self.folder / "processes.json", json.dumps(pids, indent=1))

    def rotate_logs(self) -> None:
        """Keep the logs of the last run beside the new ones, and no older."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def bound_logs(self, most: int = LOG_BYTES) -> None:
        """Cut a log of more than `most` bytes, keeping its newest half; its writers append and go on."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > most:
                with log.open("r+b") as file:
                    file.seek(-(most // 2), os.SEEK_END)
                    log.with_suffix(".log.1").write_bytes(file.read())
                    file.truncate(0)

    def log_path(self, name: str) -> Path:
        """Return where the output of a process goes."""
        return self.logs / f"{name}.log"

    def log_tail(self, name: str, lines: int = 5) -> str:
        """Return the last lines that a process wrote, on one line."""
        path = self.log_path(name)
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return " | ".join(text.strip().splitlines()[-lines:]) or "it wrote nothing"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all, and on the disk when this returns."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
