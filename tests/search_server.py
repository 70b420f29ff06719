"""A real search server for tests: osmem on a port of its own choice, gone with the block that asked for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from osmem_server import OsmemServer  # type: ignore[import-untyped]


@contextmanager
def search_server() -> Iterator[str]:
    """Yield the URL of an empty server."""
    server = OsmemServer.start(japanese=False)
    try:
        yield server.url
    finally:
        assert server.process.stdout is not None
        server.close()
        server.process.stdout.close()
