"""What a child process does before it becomes another program; it starts none itself."""

import ctypes
import os
import signal
import sys

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
