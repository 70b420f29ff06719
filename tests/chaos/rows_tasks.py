"""The rows of the matrix that need a second task: it takes over, and its clock can be another one."""

import signal

from tests.chaos.clock import clock_variables
from tests.chaos.field import RECOVERY_S, Field, Violation
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


def handed_over(field: Field) -> None:
    """Ask the leader to end while a second task stands by, and that one in its turn: nobody asks more than twice."""
    for _ in range(field.times):
        with second_task(field.system, {}) as other:
            field.acknowledged(20, 60)
            field.fault()
            field.system.kill(LEADER, signal.SIGTERM)
            field.acknowledged(20)
            field.system.line(f"{LEADER} serves again", RECOVERY_S)
            field.acknowledged(20)
            field.fault()
            other.terminate()
            field.acknowledged(20)
    most = max(trader.most_attempts for trader in field.traders)
    if most > 2:
        raise Violation(f"a call was sent {most} times until it was answered")


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
