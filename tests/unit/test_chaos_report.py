import random

import pytest

from matching_service.failpoints import NAMES, Failpoints
from tests.chaos.field import Field, outages_ms, quantile, result_of
from tests.chaos.rows import ROWS
from tests.checkers.history import Call, Kind
from tests.e2e.system import System

SECOND = 1_000_000_000


def an_order(ended: float, status: int = 201, kind: Kind = Kind.PLACE) -> Call:
    return Call(kind, "alice", round((ended - 0.1) * SECOND), round(ended * SECOND), status)


def test_an_outage_is_the_longest_time_without_an_acknowledged_order_until_the_next_fault() -> None:
    orders = [an_order(ended) for ended in (1.0, 1.1, 3.1, 3.2, 5.0, 5.4, 5.5)]
    others = [an_order(2.0, status=503), an_order(2.5, status=422), an_order(2.7, kind=Kind.ORDER)]

    assert outages_ms([round(1.2 * SECOND), round(5.1 * SECOND)], orders + others) == [2000.0, 400.0]


def test_a_fault_after_which_nothing_was_acknowledged_has_no_length() -> None:
    assert outages_ms([SECOND], [an_order(0.2)]) == []


@pytest.mark.parametrize(("share", "value"), [(0.5, 3), (0.99, 5), (1, 5), (0.2, 1)])
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert quantile([1, 2, 3, 4, 5], share) == value


def test_the_table_tells_lost_and_duplicated_from_other_violations() -> None:
    field = Field(System.__new__(System), random.Random(1), 1)
    field.calls = [an_order(1), an_order(2, status=422), an_order(3, status=0)]
    problems = ["I7: told of an order that the journal does not hold", "I2: order a was executed at [1, 2]", "I3: sum"]

    assert result_of("a row", field, problems).cells() == [
        "a row", "0", "3", "1", "1", "0", "1", "1", "-", "-", "-", "1",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.failpoint])
def test_the_failpoint_of_a_row_is_one_that_there_is(name: str) -> None:
    row = ROWS[name]

    for nth in row.nth:
        Failpoints(row.failpoint.format(nth=nth))


def test_every_failpoint_that_a_serving_task_comes_by_has_its_row() -> None:
    killing = {row.failpoint.partition(":")[0] for row in ROWS.values() if row.failpoint.endswith(":kill")}

    assert set(NAMES) - killing == {"before_take_over", "after_take_over"}
