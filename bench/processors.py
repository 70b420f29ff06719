"""Which part of a running system used how much processor time, as Linux counts it; it measures nothing elsewhere."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: what it is, who started it, and the seconds that it ran."""

    label: str
    parent: int
    seconds: float


def usage(state: Path) -> dict[str, float]:
    """Return the seconds used so far by each part of the system in `state`, and by this process; empty off Linux."""
    if not (PROC / "self" / "stat").exists():
        return {}
    running = processes()
    parts = {pid: name for name, pid in json.loads((state / "processes.json").read_text()).items()}
    used = {"load generator": running[os.getpid()].seconds}
    for pid, process in running.items():
        part = part_of(pid, running, parts)
        if part is not None:
            label = process.label or part
            used[label] = used.get(label, 0.0) + process.seconds
    return used


def part_of(pid: int, running: Mapping[int, Process], parts: Mapping[int, str]) -> str | None:
    """Return the part that `pid` belongs to: its own or that of the nearest process that started it."""
    while pid in running:
        if pid in parts:
            return parts[pid]
        pid = running[pid].parent
    return None


def processes() -> dict[int, Process]:
    """Return every process that can be read."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                found[int(folder.name)] = _process(folder)
            except (OSError, IndexError):  # it has ended, or is another user's
                continue
    return found


def _process(folder: Path) -> Process:
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    words = (folder / "cmdline").read_bytes().split(b"\0")
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Process(_label(folder, words), int(fields[1]), seconds)


def _label(folder: Path, words: list[bytes]) -> str:
    """Name what one part starts several kinds of: functions by their folder, and the publisher."""
    if b"app.handler" in words:
        return f"function {(folder / 'cwd').readlink().name}"
    return "publisher" if words[-2:-1] == [b"publish"] else ""
