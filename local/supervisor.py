"""Starts, watches, restarts and stops the processes of one system; it knows nothing of what they do."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from local.children import die_with_parent, offspring, own_group
from local.state import State

FAILURES = 10
"""How often in a row a process may die before it has served."""
FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0
GROUP_SECONDS = 1.0
"""How long to wait for killed grandchildren to be gone."""


class CannotGoOn(RuntimeError):  # noqa: N818 - reads as what it says
    """The system cannot start or go on; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the system, and how to know that it serves."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    ready_seconds: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 2.5
    death_signal: signal.Signals = signal.SIGKILL
    pass_fds: tuple[int, ...] = ()
    niceness: int = 0
    final_code: int | None = None  # the exit code by which it says that starting it again would do harm
    restarted: Callable[[], Awaitable[None]] | None = None  # awaited after it serves again


class Running:
    """A part that has been started, and is started again whenever it dies."""

    def __init__(self, part: Part, state: State) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.watch: asyncio.Task[None] | None = None
        self._state = state

    async def spawn(self) -> None:
        """Start the process, in a process group of its own, and tied to our life."""
        part = self.part

        def prepare() -> None:
            die_with_parent(part.death_signal)
            own_group(part.niceness)

        with self._state.log_path(part.name).open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *part.command,
                env=dict(part.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=part.pass_fds,
                preexec_fn=prepare,
            )

    async def until_ready(self) -> None:
        """Wait until it serves; raise `CannotGoOn` when it ends or takes too long."""
        part, process = self.part, self.process
        assert process is not None, "spawned first"
        deadline = time.monotonic() + part.ready_seconds
        while not await part.ready():
            if process.returncode is not None:
                raise CannotGoOn(f"{part.name} ended with {process.returncode}: {self._state.log_tail(part.name)}")
            if time.monotonic() > deadline:
                tail = self._state.log_tail(part.name)
                raise CannotGoOn(f"{part.name} does not serve after {part.ready_seconds:.0f} s: {tail}")
            await asyncio.sleep(0.03)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all it started that is still in its group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    async def kill(self) -> None:
        """Kill the process and its children, whatever groups they are in, and wait until it is gone."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        children = offspring(process.pid)
        self.signal_group(signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await process.wait()

    async def stop(self) -> None:
        """Ask it to stop, kill it when it does not in time, and leave nothing of its group."""
        if self.watch is not None:
            self.watch.cancel()
            await asyncio.gather(self.watch, return_exceptions=True)
        process = self.process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
                process.send_signal(signal.SIGCONT)  # one that is frozen would never hear of it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
        self.signal_group(signal.SIGKILL)
        await process.wait()
        await self._until_group_is_gone(process.pid)

    async def _until_group_is_gone(self, group: int) -> None:
        deadline = time.monotonic() + GROUP_SECONDS
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                await asyncio.sleep(0.01)


class Supervisor:
    """All parts of one system, in the order in which they were started."""

    def __init__(self, state: State, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._running: dict[str, Running] = {}
        self._stopping = False
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self, part: Part) -> None:
        """Start a part and wait until it serves; from then on it is watched."""
        running = await self.launch(part)
        running.watch = asyncio.get_running_loop().create_task(self._watch(running))

    async def launch(self, part: Part) -> Running:
        """Start a part that somebody else watches, and wait until it serves; it is stopped with all others."""
        running = self._running[part.name] = Running(part, self._state)
        await running.spawn()
        self._note_pids()
        await running.until_ready()
        return running

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process of a part, if it runs."""
        running = self._running.get(name)
        if running is not None and running.process is not None and running.process.returncode is None:
            running.process.send_signal(number)

    async def restart(self, name: str) -> None:
        """Kill a part: its watcher starts it anew."""
        if name in self._running:
            self._running[name].signal_group(signal.SIGKILL)

    @property
    def is_stopping(self) -> bool:
        """Whether what ends from now on is meant to."""
        return self._stopping

    def stop_restarting(self) -> None:
        """Let whatever dies from now on be dead, without a word."""
        self._stopping = True

    async def stop(self, *waves: Iterable[str]) -> None:
        """Stop the parts wave by wave, those of one wave together; whatever is in no wave comes last."""
        self.stop_restarting()
        named = [list(wave) for wave in waves]
        rest = set(self._running).difference(*named)
        for wave in [*named, rest]:
            together = [self._running[name].stop() for name in wave if name in self._running]
            await asyncio.gather(*together)

    async def _watch(self, running: Running) -> None:
        """Start a part again whenever it dies; give up on one that dies time after time before it serves."""
        part, failures = running.part, 0
        while True:
            assert running.process is not None, "spawned first"
            code = await running.process.wait()
            running.signal_group(signal.SIGKILL)  # what it had started
            if code == part.final_code or failures >= FAILURES:
                times = f" {failures} times in a row" if failures else ""
                self.fail(f"{part.name} died{times} ({_cause(code)}): {self._state.log_tail(part.name)}")
                return
            await asyncio.sleep(min(FIRST_BACKOFF * 2**failures, LONGEST_BACKOFF))
            if self._stopping:  # asked after the pause: one signal may have reached the part before it reached us
                return
            self._say(f"{part.name} died ({_cause(code)}); starting it again")
            try:
                await running.spawn()
                self._note_pids()
                await running.until_ready()
                if part.restarted is not None:
                    await part.restarted()
            except CannotGoOn as error:
                failures += 1
                if running.process.returncode is None:
                    self.fail(str(error))
                    return
            else:
                failures = 0
                self._say(f"{part.name} serves again")

    def fail(self, reason: str) -> None:
        """Say that the system cannot go on, and why."""
        if not self.failed.done() and not self._stopping:
            self.failed.set_result(reason)

    def _note_pids(self) -> None:
        self._state.write_processes(
            {name: running.process.pid for name, running in self._running.items() if running.process is not None}
        )


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
