"""Fixtures that all rooms of the tests share."""

from collections.abc import Iterator

import pytest

from tests.e2e.system import System, started


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One whole system for the session: for tests that leave it running, and mean to be answered by its leader."""
    with started(tmp_path_factory.mktemp("exchange"), more={"ENGINE_SILENCE_MS": "3000"}) as system:
        yield system
