"""Execution environments: a bounded pool of processes a function, one invocation at a time each; nothing is shared."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from local.children import die_with_parent, own_group
from local.cloudformation import ACCOUNT, REGION
from local.runtime_api import Invocation, Outcome, RuntimeApi
from local.template import Function

LEAN = Path(__file__).with_name("lean_environment.py")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a pool grows and how long anything in it may wait."""

    environments: int = 8
    warm: int = 0
    starting: int = 2
    queued: int = 2000
    grow_after_seconds: float = 0.01
    wait_seconds: float = 30.0
    init_seconds: float = 30.0
    longest_backoff_seconds: float = 5.0


def variables(function: Function, bound: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that Lambda gives a function: its own variables and the reserved ones."""
    search = [str(function.code), *(str(layer) for layer in function.layers)]
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(search),
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": str(Path(sys.prefix)),
        "_HANDLER": function.handler,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        **bound,
    }


class Environment:
    """One process that runs the handler, and the Runtime API server that only it talks to."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.AbstractServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._invocation: Invocation | None = None
        self._ending: Outcome | None = None  # what its invocation gets when the process is killed on purpose
        self.initialised = False
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{pool.function.name}"
        self._api = RuntimeApi(arn, self._ready, self._finished, self._init_failed)

    @property
    def pid(self) -> int | None:
        """The process id, once there is one."""
        return self._process.pid if self._process is not None else None

    async def run(self, command: list[str], environment: Mapping[str, str], log: BinaryIO | None) -> None:
        """Start the process and stay until it has ended."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._api, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        address = f"127.0.0.1:{port}"
        try:
            self._process = await asyncio.create_subprocess_exec(
                *[word.format(address=address) for word in command],
                env={**environment, "AWS_LAMBDA_RUNTIME_API": address},
                cwd=self._pool.function.code,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._pool.prepare,
            )
            self._timer = loop.call_later(self._pool.bounds.init_seconds, self.kill, Outcome("timeout"))
            await self._process.wait()
        finally:
            self.kill(Outcome("crash"))
            self._listener.close()
            for connection in [*self._api.connections]:
                connection.close()
            self._finish(self._ending or Outcome("crash"))

    @property
    def is_waiting(self) -> bool:
        """Tell whether it can be given an invocation."""
        return self._api.waiting is not None and not self._api.waiting.is_closed

    def give(self, invocation: Invocation) -> None:
        """Hand the waiting process its next invocation; it is killed when the function's timeout passes."""
        self._invocation = invocation
        timeout = self._pool.function.timeout_seconds
        self._timer = asyncio.get_running_loop().call_later(timeout, self.kill, Outcome("timeout"))
        self._api.give(invocation, timeout)

    def kill(self, ending: Outcome) -> None:
        """End the process and all it started; its invocation, if any, gets `ending`."""
        self._ending = self._ending or ending
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _ready(self) -> None:
        if not self.initialised:
            self.initialised = True
            if self._timer is not None:
                self._timer.cancel()
        self._pool.idle(self)

    def _finished(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        invocation, self._invocation = self._invocation, None
        if invocation is not None:
            invocation.deliver(outcome)

    def _init_failed(self, document: bytes) -> None:
        self._pool.init_error = document


class Pool:
    """The environments of one function and the invocations that wait for one."""

    def __init__(
        self,
        function: Function,
        bound_variables: Mapping[str, str],
        bounds: Bounds,
        *,
        lean: bool,
        niceness: int,
        open_log: Callable[[str], BinaryIO | None],
    ) -> None:
        self.function = function
        self.bounds = bounds
        self.init_error = b""  # the error document of the last environment that could not start
        if function.reserved is not None:
            self.bounds = Bounds(environments=max(1, min(bounds.environments, function.reserved)), warm=bounds.warm)
        real = ["-m", "awslambdaric", function.handler]
        client = ["-P", str(LEAN), "{address}", function.handler, str(function.memory_mb)] if lean else real
        self._command = [sys.executable, *client]
        self._variables = variables(function, bound_variables)
        self._niceness = niceness
        self._open_log = open_log
        self._live: set[Environment] = set()
        self._idle: list[Environment] = []  # the most recently used last: it is the warmest
        self._queue: deque[Invocation] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0  # starts that failed in a row
        self._retry_at = 0.0
        self._stopped = False

    def submit(self, invocation: Invocation) -> None:
        """Give the invocation to an idle environment, or queue it; it gets its outcome through `deliver`."""
        while self._idle:
            environment = self._idle.pop()
            if environment.is_waiting:
                environment.give(invocation)
                return
            environment.kill(Outcome("crash"))  # it has gone, and its end will be noticed
        if len(self._queue) >= self.bounds.queued or self._stopped:
            invocation.deliver(Outcome("capacity"))
        elif not self._live and time.monotonic() < self._retry_at:
            invocation.deliver(Outcome("error", self.init_error))
        else:
            self._queue.append(invocation)
            self._grow_if_needed()

    def idle(self, environment: Environment) -> None:
        """Take back an environment that asks for its next invocation."""
        self._failures = 0
        if self._queue:
            environment.give(self._queue.popleft())
        else:
            self._idle.append(environment)

    def sweep(self) -> None:
        """End waits that lasted too long and start what is missing; to be called several times a second."""
        oldest = time.monotonic() - self.bounds.wait_seconds
        while self._queue and self._queue[0].queued_at < oldest:
            self._queue.popleft().deliver(Outcome("waited"))
        self._grow_if_needed()
        if len(self._live) < self.bounds.warm and time.monotonic() >= self._retry_at:
            self._start()

    async def stop(self) -> None:
        """Kill every environment and wait for its end; whoever waits gets an outcome."""
        self._stopped = True
        for environment in self._live:
            environment.kill(Outcome("crash"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._queue:
            self._queue.popleft().deliver(Outcome("capacity"))

    def prepare(self) -> None:
        """Do what a new environment does before it becomes Python."""
        die_with_parent()
        own_group(self._niceness)

    def pids(self) -> list[int]:
        """Return the process ids of the live environments."""
        return [environment.pid for environment in self._live if environment.pid is not None]

    def _grow_if_needed(self) -> None:
        if not self._queue or self._stopped:
            return
        waited = time.monotonic() - self._queue[0].queued_at
        if not self._live or waited > self.bounds.grow_after_seconds:
            self._start()

    def _start(self) -> None:
        starting = sum(not environment.initialised for environment in self._live)
        full = len(self._live) >= self.bounds.environments or starting >= self.bounds.starting
        if full or self._stopped or time.monotonic() < self._retry_at:
            return
        environment = Environment(self)
        self._live.add(environment)
        task = asyncio.get_running_loop().create_task(self._run(environment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, environment: Environment) -> None:
        log = self._open_log(self.function.name)
        try:
            await environment.run(self._command, self._variables, log)
        finally:
            if log is not None:
                log.close()
            self._live.discard(environment)
            if environment in self._idle:
                self._idle.remove(environment)
            if not environment.initialised:
                self._start_failed()

    def _start_failed(self) -> None:
        self._failures += 1
        pause = min(0.25 * 2**self._failures, self.bounds.longest_backoff_seconds)
        self._retry_at = time.monotonic() + pause
        if not any(environment.initialised for environment in self._live):
            while self._queue:
                self._queue.popleft().deliver(Outcome("error", self.init_error))


def error_document(outcome: Outcome) -> bytes:
    """Return the error document of an outcome that is no answer, as Lambda's Invoke gives it."""
    if outcome.kind == "error" and outcome.payload:
        return outcome.payload
    messages = {"timeout": "Task timed out", "crash": "Runtime exited", "error": "Runtime failed to start"}
    return json.dumps({"errorMessage": messages.get(outcome.kind, "no capacity")}).encode()
