"""The rows of the matrix that are done to the leader and to its database."""

import signal
from collections.abc import Callable
from pathlib import Path

from local.roles import roles_of
from matching_service.failpoints import NAMES
from tests.chaos.field import RECOVERY_S, Field, Violation
from tests.chaos.processes import is_stopped, kill, pause
from tests.until import until

LEADER = "matching_service"
IN_PUBLISHER = ("before_kinesis", "after_kinesis")
AT_TAKE_OVER = ("before_take_over", "after_take_over")
KILLED_AT = tuple(name for name in NAMES if name not in (*IN_PUBLISHER, *AT_TAKE_OVER))
"""A task told to die at its first take-over never leads: those two points are the simulator's."""
LEASE_S = 1.0


def killed_part(part: str) -> Callable[[Field], None]:
    """Return a row that kills a process of the system at random, again and again."""

    def play(field: Field) -> None:
        for _ in range(field.times):
            field.acknowledged(5, 60)
            field.fault()
            field.system.kill(part)
            field.system.line(f"{part} serves again", RECOVERY_S)
        field.acknowledged(20)

    return play


def killed_at_failpoint(field: Field) -> None:
    """Let the leader die where it was told to, in each of its lives."""
    for _ in range(field.times):
        field.died(LEADER)
    field.acknowledged(10)


def killed_publisher(field: Field) -> None:
    """Let the publisher die where it was told to; orders must not notice."""
    ended = '"the publisher ended'
    for number in range(1, field.times + 1):
        if not until(lambda number=number: field.system.log(LEADER).count(ended) >= number, RECOVERY_S):  # type: ignore[misc]
            raise Violation("the publisher did not come by its failpoint")
        field.fault()
    field.acknowledged(20)


def stopped_leader(field: Field) -> None:
    """Stop the leader for longer than its lease, then let it go on where it was."""
    for _ in range(field.times):
        field.acknowledged(5, 60)
        leader = field.system.pids()[LEADER]
        field.fault()
        kill(leader, signal.SIGSTOP)
        pause(field.chance.uniform(1.2, 2.5) * LEASE_S)
        kill(leader, signal.SIGCONT)
    field.acknowledged(20)


def stopped_within_transaction(field: Field) -> None:
    """Find the leader stopped between insert and commit, leave it so past its lease, and let it go on."""
    for _ in range(field.times):
        leader = field.system.pids()[LEADER]
        if not until(lambda leader=leader: is_stopped(leader), RECOVERY_S):  # type: ignore[misc]
            raise Violation("the leader did not come by its failpoint")
        field.fault()
        pause(field.chance.uniform(1.2, 2.5) * LEASE_S)
        kill(leader, signal.SIGCONT)
        field.acknowledged(20)
        field.system.kill(LEADER)  # its next life stops again
        field.system.line(f"{LEADER} serves again", RECOVERY_S)


def poisoned(field: Field) -> None:
    """Let one command raise: it is journaled as poisoned, and the others go on."""
    if not until(lambda: "could not be applied" in field.system.log(LEADER), RECOVERY_S):
        raise Violation("no command was poisoned")
    field.fault()
    field.acknowledged(50)


def poisoned_twice(field: Field) -> None:
    """Let two commands raise within a minute: the cell stops and says why, and goes on when it is started again."""
    if field.system.process.wait(RECOVERY_S) != 1:
        raise Violation("the system did not end as one that cannot go on")
    field.fault()
    if not any("the cell is stopped" in line for line in field.system.output.lines):
        raise Violation("the system did not say that the cell is stopped")
    field.start_again({})  # whoever starts it has looked
    field.acknowledged(20)


def everything_killed(field: Field) -> None:
    """Kill every process of the system at once and start it again on what is on the disk."""
    for _ in range(field.times):
        field.acknowledged(5, 60)
        field.fault()
        field.kill_everything()
        field.start_again({})
    field.acknowledged(20)


def rolling_restart(field: Field) -> None:
    """Ask the leader to end, as a deployment does, and let the next one serve."""
    for _ in range(field.times):
        field.acknowledged(20, 60)
        field.fault()
        field.system.kill(LEADER, signal.SIGTERM)
        field.system.line(f"{LEADER} serves again", RECOVERY_S)
    field.acknowledged(20)


def restarted_database(field: Field) -> None:
    """Stop the database as its operator would, and let it come back."""
    for _ in range(field.times):
        field.acknowledged(5, 60)
        field.fault()
        field.system.kill("postgres", signal.SIGINT)
        field.system.line("postgres serves again", RECOVERY_S)
    field.acknowledged(20)


def killed_primary(field: Field) -> None:
    """Kill the primary database; its synchronous standby is promoted, and the old one comes back as the standby."""
    for _ in range(field.times):
        field.acknowledged(5, 60)
        seen = len(field.system.output.lines)
        field.fault()
        field.system.kill(primary_of(field.system.state))
        field.acknowledged(20)
        field.system.output.line("every commit waits for it", 2 * RECOVERY_S, seen)


def stopped_primary(field: Field) -> None:
    """Stop the primary database without killing it: it must be replaced and never serve again."""
    for _ in range(field.times):
        field.acknowledged(5, 60)
        seen = len(field.system.output.lines)
        field.fault()
        field.system.kill(primary_of(field.system.state), signal.SIGSTOP)
        field.acknowledged(20)
        field.system.output.line("every commit waits for it", 2 * RECOVERY_S, seen)


def primary_of(state: Path) -> str:
    """Return the name of the server that is written to."""
    return roles_of(state).primary
