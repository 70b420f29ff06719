"""A real emulator of S3 and Kinesis for tests: ministack on a free port, gone with the block that asked for it."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

REGION: Final = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


@contextmanager
def aws_server() -> Iterator[str]:
    """Yield the URL of an emulator that holds nothing yet."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as home:
        server = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home} | CREDENTIALS | _settings(port),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert server.stdout is not None
        try:
            if not any("Running on" in line for line in server.stdout):
                raise RuntimeError("the emulator ended before it served")
            drain = threading.Thread(target=server.stdout.read, daemon=True)
            drain.start()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait(10)
            drain.join(10)
            server.stdout.close()


def _settings(port: int) -> dict[str, str]:
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,kinesis",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
