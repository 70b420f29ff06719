"""A short version of `make chaos`: rows of the fault matrix, each on a system of its own, its fault once or twice."""

from pathlib import Path

import pytest

from tests.chaos.playing import played

SEED = "20261126"
SHORT = {
    "kill-after-insert": 1,
    "kill-after-commit": 1,
    "kill-before-acknowledge": 1,
    "stop-in-transaction": 1,
    "poison-twice": 1,
    "lose-replies": 1,
    "kill-primary": 1,
    "copies": 2,
    "everything": 1,
    "standby-kill": 1,
}


@pytest.mark.parametrize("row", SHORT)
def test_nothing_is_lost_doubled_or_out_of_order_by(row: str, tmp_path: Path) -> None:
    result = played(row, SEED, SHORT[row], tmp_path)

    assert result.problems == []
    assert result.faults >= 1
    assert result.acknowledged > 20
