"""Processes as the kernel shows them: who started whom, and who is stopped; Linux only."""

import contextlib
import ctypes
import os
import signal
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def children_of(parent: int) -> list[int]:
    """Return the pids of the processes that a process started and that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, ppid = _stat(int(folder.name))
            if ppid == parent and state != "Z":
                found.append(int(folder.name))
    return sorted(found)


def is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped by a signal."""
    with contextlib.suppress(OSError):
        return _stat(pid)[0] == "T"
    return False


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def adopt_orphans() -> None:
    """Become the parent of what our killed children leave behind: where no init does, nobody else would bury it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury(pid: int) -> None:
    """Wait for a killed process, if it is ours by now: until then its pid is taken, and a lock of it looks held."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def pause(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def _stat(pid: int) -> tuple[str, int]:
    state, ppid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    return state, int(ppid)
