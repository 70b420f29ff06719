import signal
import subprocess
import sys

import pytest

from exchange.settings import Service, load
from matching_service.failpoints import NONE, FailpointReached, Failpoints

KILLS = """
from matching_service.failpoints import Failpoints
step = Failpoints("after_commit:3:kill").around("commit", print)
for number in range(1, 9):
    step(number, flush=True)
"""


def test_a_failpoint_that_is_not_set_costs_not_even_a_call() -> None:
    def work() -> None: ...

    assert NONE.around("match", work) is work
    assert Failpoints("before_commit:1:raise").around("match", work) is work


def test_a_failpoint_acts_at_its_nth_time_and_never_again() -> None:
    done: list[int] = []
    step = Failpoints("before_commit:2:raise").around("commit", done.append)

    step(1)
    with pytest.raises(FailpointReached):
        step(2)
    step(3)

    assert done == [1, 3]


def test_a_failpoint_after_a_step_acts_when_it_is_done() -> None:
    done: list[int] = []

    with pytest.raises(FailpointReached):
        Failpoints("after_commit:1:raise").around("commit", done.append)(1)

    assert done == [1]


def test_one_failpoint_may_act_more_than_once() -> None:
    step = Failpoints("before_apply:1:raise,before_apply:3:raise").around("apply", str)

    outcomes = []
    for number in range(4):
        try:
            outcomes.append(step(number))
        except FailpointReached:
            outcomes.append("raised")

    assert outcomes == ["raised", "1", "raised", "3"]


def test_kill_leaves_the_process_no_word_more() -> None:
    ended = subprocess.run([sys.executable, "-c", KILLS], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "1\n2\n3\n")


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("after_lunch:1:kill", "there is no 'after_lunch'; there are before_take_over, after_take_over, before_match"),
        ("after_commit", "'after_commit' is not name:number:action, an action being kill, stop, raise, delay"),
        ("after_commit:x:kill", "'after_commit:x:kill' is not"),
        ("after_commit:1:explode", "'after_commit:1:explode' is not"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_with_what_there_is(plan: str, told: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINT: ") as refused:
        Failpoints(plan)

    assert told in str(refused.value)


def test_the_plan_comes_from_the_environment_by_way_of_the_settings() -> None:
    needed = ("DATABASE_URL", "REDIS_URL", "GATEWAY_SECRET", "KEY_ENCRYPTION_KEY", "EXECUTIONS_STREAM")
    environment = dict.fromkeys(needed, "x") | {"FAILPOINT": "after_commit:3:kill"}

    assert load(Service, environment).failpoint == "after_commit:3:kill"
