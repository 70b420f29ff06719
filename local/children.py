"""Ties child processes to the life of their parent; it starts none itself."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process `with_signal` when its parent dies (Linux); for `preexec_fn`."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
