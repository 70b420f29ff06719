"""Named places where the service can be made to die, stop, fail or wait, to prove what survives; unset, they are free.

`FAILPOINT=after_commit:3:kill` kills the process after its third commit; several are separated by commas.
"""

import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import ParamSpec, TypeVar

STEPS = ("take_over", "match", "apply", "insert", "commit", "acknowledge", "redis", "kinesis")
"""What is done, in the order of an order's path; `kinesis` is reached in the publisher's process."""
NAMES = tuple(f"{when}_{step}" for step in STEPS for when in ("before", "after"))
DELAY_S = 0.5

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


class FailpointReached(Exception):  # noqa: N818 - it is what was asked for
    """The failure that a failpoint was told to raise."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise FailpointReached


def _delay() -> None:
    time.sleep(DELAY_S)


ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "stop": _stop, "raise": _raise, "delay": _delay}


class Failpoints:
    """What a process does at which of its failpoints, and how often it has come by each."""

    def __init__(self, plan: str = "", actions: dict[str, Callable[[], None]] = ACTIONS) -> None:
        """Read `plan`; raise `ValueError`, with the list, where it names what there is not."""
        self.due: dict[str, dict[int, Callable[[], None]]] = defaultdict(dict)
        self.passed: Counter[str] = Counter()
        for item in filter(None, plan.split(",")):
            name, _, rest = item.strip().partition(":")
            nth, _, action = rest.partition(":")
            if name not in NAMES:
                raise ValueError(f"FAILPOINT: there is no {name!r}; there are {', '.join(NAMES)}")
            if not nth.isdecimal() or action not in actions:
                raise ValueError(f"FAILPOINT: {item!r} is not name:number:action, an action being {', '.join(actions)}")
            self.due[name][int(nth)] = actions[action]

    def around(self, step: str, work: Callable[Given, Returned]) -> Callable[Given, Returned]:
        """Return `work` with its two failpoints; `work` itself where neither is set."""
        before, after = f"before_{step}", f"after_{step}"
        assert before in NAMES, step
        if before not in self.due and after not in self.due:
            return work

        def worked(*given: Given.args, **named: Given.kwargs) -> Returned:
            self._pass(before)
            returned = work(*given, **named)
            self._pass(after)
            return returned

        return worked

    @property
    def is_within_transaction(self) -> bool:
        """Tell whether something is to happen between insert and commit, which are one statement otherwise."""
        return "after_insert" in self.due

    def _pass(self, name: str) -> None:
        self.passed[name] += 1
        if action := self.due[name].get(self.passed[name]) if name in self.due else None:
            action()


NONE = Failpoints()
"""No failpoint is set."""
