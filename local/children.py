"""What a child process does before it becomes another program; it starts none itself."""

import ctypes
import os
import signal
import sys
from pathlib import Path

BACKGROUND = 19
"""The niceness of what nobody waits for: it yields to what answers requests."""
STREAM = 10
"""That of the stream, for which the publisher waits."""
HANDLERS = 3
"""The niceness of execution environments: there are many, and they yield to what all of them wait for."""

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process `with_signal` when its parent dies (Linux); for `preexec_fn`."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)


def own_group(niceness: int) -> None:
    """Take a process group of its own and lower the priority; for `preexec_fn`.

    No session of its own: Linux shares the processors between sessions first, and priorities hold only within one.
    """
    os.setpgid(0, 0)
    if niceness:
        os.nice(niceness)
    if niceness >= STREAM and hasattr(os, "SCHED_BATCH"):  # waking up, such a process interrupts no other
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def offspring(pid: int) -> list[int]:
    """Return the processes that `pid` has started itself; none where the kernel does not tell (Linux does)."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
