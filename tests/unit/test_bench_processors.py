import os

import pytest

from bench.processors import Process, part_of, processes


def test_process_belongs_to_the_nearest_part_that_started_it() -> None:
    running = {1: Process("", 0, 0.0), 2: Process("", 1, 0.0), 3: Process("", 2, 0.0), 4: Process("", 1, 0.0)}
    parts = {1: "bench", 2: "edge"}

    assert [part_of(pid, running, parts) for pid in (1, 2, 3, 4)] == ["bench", "edge", "edge", "bench"]


def test_process_of_no_part_belongs_nowhere() -> None:
    assert part_of(3, {3: Process("", 9, 0.0)}, {1: "edge"}) is None


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only Linux tells")  # noqa: PTH110
def test_this_process_is_among_those_that_run() -> None:
    own = processes()[os.getpid()]

    assert own.parent == os.getppid()
    assert own.seconds > 0
