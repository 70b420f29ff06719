"""A simulated process: an asyncio loop that runs one callback at a time, and blocking work that waits by the baton.

Blocking work runs in real threads of which never more than one moves: each goes on only where the world lets it, so
that a run is the same every time. A process can be stopped for a while, or die between any two callbacks.
"""

import asyncio
import contextvars
import threading
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.world import World

ROUNDS = 20
"""How often what a dead process still awaits is canceled."""


class Crashed(SystemExit):
    """The process that this runs in is no more."""


class Worker(threading.Thread):
    """A thread that moves only while whoever let it move waits."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.work: Callable[[], None] | None = None
        self._goes = threading.Lock()
        self._rests = threading.Lock()
        self._goes.acquire()
        self._rests.acquire()
        self.start()

    def run(self) -> None:
        """Do one piece of work after another."""
        while True:
            self._goes.acquire()
            assert self.work is not None, "set before it goes"
            self.work()
            self.work = None
            self._rests.release()

    def go(self) -> None:
        """Let it move until it pauses or has done its work."""
        self._goes.release()
        self._rests.acquire()

    def pause(self) -> None:
        """Stop moving until `go`; called in the thread itself."""
        self._rests.release()
        self._goes.acquire()


_idle: list[Worker] = []


class Job:
    """One call of blocking code in a process."""

    def __init__(self, process: "Process", work: Callable[[], Any], done: asyncio.Future[Any]) -> None:
        self.process = process
        self.done = done
        self._work = work
        self._worker = _idle.pop() if _idle else Worker()
        self._worker.work = self._run
        self._came: Callable[[], Any] | None = None
        self._token: object | None = None
        self.is_over = False

    def go(self) -> None:
        """Let it move, as the current job of its process."""
        if self not in self.process.jobs:
            return
        before = Process.job, Process.current
        Process.job, Process.current = self, self.process
        try:
            self._worker.go()
        finally:
            Process.job, Process.current = before
        if self.is_over:
            _idle.append(self._worker)

    def block(self, begin: Callable[[Callable[[Callable[[], Any]], None]], None]) -> Any:
        """Begin something and pause until it calls back with what to return or raise; called in the job's thread."""
        self.process.check_alive()

        token = self._token = object()

        def called_back(came: Callable[[], Any]) -> None:
            if self._token is token:  # else it is about something that was given up long ago
                self._token, self._came = None, came
                self.process.loop.call_soon(self.go)

        begin(called_back)
        self._worker.pause()
        self.process.check_alive()
        came, self._came = self._came, None
        assert came is not None, "it goes on when it has an outcome"
        return came()

    def _run(self) -> None:
        loop = self.process.loop
        try:
            result = self._work()
        except Crashed:
            self.process.crash("at a failpoint")
        except BaseException as error:  # noqa: BLE001 - handed on to whoever awaits the work
            loop.call_soon(_fail, self.done, error)
        else:
            loop.call_soon(_settle, self.done, result)
        self.is_over = True
        self.process.jobs.pop(self, None)


def _settle(done: asyncio.Future[Any], result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


class Process:
    """One life of a task; `current` is the one that a callback or a job runs in."""

    current: "Process | None" = None
    job: Job | None = None

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.loop = NodeLoop(self)
        self.is_dead = False
        self.is_machine_lost = False  # it dies without its connections being closed
        self.stopped_until_ns = 0
        self.crash_in = -1  # callbacks until it dies, where that was decided
        self.jobs: dict[Job, None] = {}
        self.at_death: list[Callable[[], None]] = []

    def check_alive(self) -> None:
        """Raise `Crashed` in what still runs of a process that has died."""
        if self.is_dead:
            raise Crashed

    def stop(self, seconds: float) -> None:
        """Let nothing of it move for a while."""
        self.stopped_until_ns = self.world.now_ns + round(seconds * 1e9)

    def crash(self, why: str) -> None:
        """Let it be dead from now on: nothing that it does reaches anyone."""
        if self.is_dead:
            return
        self.is_dead = True
        self.world.note("crash", self.name, why)
        for action in self.at_death:
            action()
        self.world.after(0, self._bury)

    def _bury(self) -> None:
        """Unwind what is left, so that no thread and no coroutine outlives the run."""
        for job in list(self.jobs):
            if not job.is_over:
                job.go()
        self.loop.drain()


class NodeLoop:
    """As much of an event loop as the service uses, on the world's clock."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.errors: list[BaseException] = []
        self._loop: Any = self  # asyncio asks for a whole loop, and uses this much of it
        self._is_awake = False
        self._queues: dict[int, tuple[Any, deque[Job]]] = {}

    def time(self) -> float:
        """Return the seconds on the world's clock."""
        return self.process.world.now_s

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        """Run a callback after those that are ready already."""
        handle = asyncio.Handle(callback, args, self._loop, context)
        self.ready.append(handle)
        self._wake()
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback later."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a time of this loop's clock."""
        handle = asyncio.TimerHandle(when, callback, args, self._loop, context)
        self.process.world.after(max(0.0, when - self.time()), lambda: self._fall_due(handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self._loop)

    def create_task(self, coro: Coroutine[Any, Any, Any], **named: Any) -> asyncio.Task[Any]:
        """Run a coroutine."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._loop, **named)
        self.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Run blocking code as a job; an executor of ours has one thread, and takes its jobs one by one."""
        done = self.create_future()
        if self.process.is_dead:
            return done
        job = Job(self.process, lambda: func(*args), done)
        self.process.jobs[job] = None
        if executor is None:
            self.call_soon(job.go)
            return done
        _, waiting = self._queues.setdefault(id(executor), (executor, deque()))
        waiting.append(job)
        if len(waiting) == 1:
            self.call_soon(job.go)
        done.add_done_callback(lambda _: self._next_job(waiting))
        return done

    def get_debug(self) -> bool:
        """Say no."""
        return False

    def is_running(self) -> bool:
        """Tell that tasks may be made."""
        return True

    def is_closed(self) -> bool:
        """Tell that it takes callbacks."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody awaited; a run with such an error has a bug."""
        error = context.get("exception")
        if isinstance(error, BaseException) and not self.process.is_dead:
            self.errors.append(error)

    def drain(self) -> None:
        """End every task of a process that has died, what they say reaching nobody."""
        for _ in range(ROUNDS):
            pending = [task for task in self.tasks if not task.done()]
            if not pending:
                break
            for task in pending:
                task.cancel()
            while self.ready:
                self._run(self.ready.popleft())
        self.tasks.clear()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Let it be: a canceled handle is skipped when it is due."""

    def _fall_due(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and not self.process.is_dead:
            self.ready.append(handle)
            self._wake()

    def _next_job(self, waiting: deque[Job]) -> None:
        waiting.popleft()
        if waiting and not self.process.is_dead:
            self.call_soon(waiting[0].go)

    def _wake(self) -> None:
        if not self._is_awake and not self.process.is_dead:
            self._is_awake = True
            self.process.world.after(0, self._turn)

    def _turn(self) -> None:
        """Run one callback, and come back for the next."""
        process = self.process
        if process.is_dead:
            return
        if process.stopped_until_ns > process.world.now_ns:
            process.world.after((process.stopped_until_ns - process.world.now_ns) / 1e9, self._turn)
            return
        self._is_awake = False
        if not self.ready:
            return
        self._run(self.ready.popleft())
        if process.crash_in >= 0:
            process.crash_in -= 1
            if process.crash_in < 0:
                process.crash("between two callbacks")
        if self.ready:
            self._wake()

    def _run(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        before, Process.current = Process.current, self.process
        events._set_running_loop(self._loop)
        try:
            handle._run()
        except Crashed:
            self.process.crash("at a failpoint")
        finally:
            events._set_running_loop(None)
            Process.current = before
