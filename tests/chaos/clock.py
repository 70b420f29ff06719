"""A clock that can be stepped while a process runs: libfaketime in front of the C library, told by a file."""

import importlib.util
from pathlib import Path

NOT_STEPPED = "postgres"
"""The database keeps its time: leases and the engine's time are by its clock alone."""


def clock_variables(file: Path) -> dict[str, str]:
    """Return the variables that give a process the clock that `file` tells: `+3600` is an hour ahead."""
    package = importlib.util.find_spec("libfaketime")
    assert package is not None, "libfaketime is among the requirements"
    assert package.origin is not None, "libfaketime is a package with a library in it"
    library = Path(package.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    file.write_text("+0")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_SKIP_CMDS": NOT_STEPPED,
    }
