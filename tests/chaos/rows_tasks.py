"""The rows of the matrix that need a second task: it takes over, and its clock can be another one."""

import signal

from tests.chaos.clock import clock_variables
from tests.chaos.field import RECOVERY_S, Field
from tests.chaos.processes import kill, pause
from tests.chaos.second_task import second_task

LEADER = "matching_service"


def killed_beside_standby(field: Field) -> None:
    """Kill the leader while a second task stands by, then that one, and so on."""
    for _ in range(field.times):
        with second_task(field.system, {}) as other:
            field.acknowledged(5, 40)
            field.fault()
            field.system.kill(LEADER)
            field.acknowledged(20)
            field.system.line(f"{LEADER} serves again", RECOVERY_S)
            field.fault()
            other.kill()
            field.acknowledged(20)


def stopped_beside_standby(field: Field) -> None:
    """Stop the leader for longer than its lease, let the second task take over, and let the first go on."""
    for _ in range(field.times):
        with second_task(field.system, {}):
            field.acknowledged(5, 40)
            leader = field.system.pids()[LEADER]
            field.fault()
            kill(leader, signal.SIGSTOP)
            field.acknowledged(20)
            pause(field.chance.uniform(0, 2))
            kill(leader, signal.SIGCONT)
            field.acknowledged(20)
            field.fault()
        field.acknowledged(20)


def stepped_clock(field: Field) -> None:
    """Let a task lead whose clock is stepped by an hour, forward and back, while it trades."""
    clock = field.system.state / "clock"
    with second_task(field.system, clock_variables(clock)):
        field.acknowledged(10)
        field.system.kill(LEADER)
        field.acknowledged(20)
        for step in ["+3600", "+0", "-3600", "+0"] * field.times:
            field.fault()
            clock.write_text(step)
            field.acknowledged(20, 60)
        field.fault()
    field.acknowledged(20)
