"""One structured line per outcome on standard output; it never prints secrets, signatures or whole events.

A few lines instead of a logging framework: the line costs 10 us, and the import nothing of a cold start.
"""

import sys
import traceback
from typing import Any, TextIO

from msgspec.json import Encoder

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}

_encoder = Encoder()


class Logger:
    """Writes JSON lines of at least `level` for one service."""

    __slots__ = ("_service", "_stream", "_threshold")

    def __init__(self, service: str, level: str = "INFO", stream: TextIO | None = None):
        self._service = service
        self._threshold = LEVELS.get(level.upper(), LEVELS["INFO"])
        self._stream = stream

    def info(self, message: str, **fields: Any) -> None:
        """Log an outcome that is nobody's fault or the participant's."""
        self._write("INFO", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Log that something of ours is away or slow."""
        self._write("WARNING", message, fields)

    def error(self, message: str, error: BaseException | None = None, **fields: Any) -> None:
        """Log a bug, with the traceback of `error`."""
        if error is not None:
            fields["error"] = "".join(traceback.format_exception(error))
        self._write("ERROR", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        if LEVELS[level] < self._threshold:
            return
        line = {"level": level, "service": self._service, "message": message, **fields}
        if None in fields.values():
            line = {name: value for name, value in line.items() if value is not None}
        stream = self._stream or sys.stdout
        stream.write(_encoder.encode(line).decode() + "\n")
        stream.flush()
