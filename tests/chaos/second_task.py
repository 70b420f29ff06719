"""Another task of the matching service beside that of a running system, with variables of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.system import ROOT, System
from tests.until import until

START_S = 180.0


@contextmanager
def second_task(system: System, more: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a task that stands by for the length of the block; it listens on ports of its own."""
    own = Path(f"/proc/{system.pids()['matching_service']}/environ").read_bytes().split(b"\0")
    variables = dict(os.fsdecode(item).split("=", 1) for item in own if item)
    log = system.state / "logs" / "second_task.log"
    with log.open("ab") as output:
        task = subprocess.Popen(
            [sys.executable, "-m", "matching_service"],
            cwd=ROOT,
            env={**variables, "GATEWAY_PORT": "0", "HEALTH_PORT": "0", **more},
            stdout=output,
            stderr=output,
        )
    try:
        assert until(lambda: "standing by" in log.read_text(), START_S), "the second task does not stand by"
        yield task
    finally:
        task.kill()
        task.wait(10)
