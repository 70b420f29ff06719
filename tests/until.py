"""Waiting for another process to have done something: asked again and again, never longer than a deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

PAUSE_S = 0.05


def until(ask: Callable[[], Answer], seconds: float) -> Answer:
    """Return the first true answer of `ask`, or its last answer at the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        pause.wait(PAUSE_S)
    return answer
