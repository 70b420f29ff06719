"""The supervisor with small processes of its own: restart, giving up, and stopping all."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from local.state import State
from local.supervisor import CannotGoOn, Part, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


def part(name: str, code: str, ready: Callable[[], Awaitable[bool]], final_code: int | None = None) -> Part:
    return Part(name, (sys.executable, "-c", code), os.environ, ready, ready_seconds=10.0, final_code=final_code)


async def at_once() -> bool:
    return True


async def never() -> bool:
    return False


def supervised(tmp_path: Path, run: Callable[[Supervisor, list[str]], Awaitable[None]]) -> list[str]:
    said: list[str] = []

    async def main() -> None:
        state = State(tmp_path / "state")
        state.lock()
        supervisor = Supervisor(state, said.append)
        try:
            async with asyncio.timeout(60):
                await run(supervisor, said)
        finally:
            await supervisor.stop()
            state.release()

    asyncio.run(main())
    return said


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def pid_of(tmp_path: Path, name: str) -> int:
    document: dict[str, int] = json.loads((tmp_path / "state" / "processes.json").read_text())
    return document[name]


def test_a_part_that_had_served_is_started_again_as_often_as_it_dies(tmp_path: Path) -> None:
    async def run(supervisor: Supervisor, said: list[str]) -> None:
        await supervisor.start(part("sleeper", SLEEPER, at_once))
        for number in range(1, 16):
            os.kill(pid_of(tmp_path, "sleeper"), signal.SIGKILL)
            await until(lambda number=number: said.count("sleeper serves again") == number)  # type: ignore[misc]
        assert not supervisor.failed.done()

    said = supervised(tmp_path, run)

    assert said.count("sleeper died (SIGKILL); starting it again") == 15


def test_a_part_that_ends_before_it_serves_is_told_with_its_last_words(tmp_path: Path) -> None:
    async def run(supervisor: Supervisor, said: list[str]) -> None:
        with pytest.raises(CannotGoOn, match=r"^broken ended with 4: no such luck$"):
            await supervisor.start(part("broken", "import sys; print('no such luck'); sys.exit(4)", never))

    supervised(tmp_path, run)


def test_a_part_that_says_so_is_not_started_again(tmp_path: Path) -> None:
    async def run(supervisor: Supervisor, said: list[str]) -> None:
        await supervisor.start(part("proud", "import sys; print('enough'); sys.exit(3)", at_once, final_code=3))
        assert await supervisor.failed == "proud died (exit code 3): enough"

    assert supervised(tmp_path, run) == []


def test_a_stop_ends_frozen_and_deaf_processes_and_what_they_started(tmp_path: Path) -> None:
    deaf = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    deaf += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    deaf += f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid)); time.sleep(600)"
    pids: list[int] = []

    async def run(supervisor: Supervisor, said: list[str]) -> None:
        await supervisor.start(part("deaf", deaf, at_once))
        await supervisor.start(part("frozen", SLEEPER, at_once))
        await until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "")
        os.kill(pid_of(tmp_path, "frozen"), signal.SIGSTOP)
        pids.extend([pid_of(tmp_path, "deaf"), pid_of(tmp_path, "frozen"), int((tmp_path / "child").read_text())])

    supervised(tmp_path, run)

    assert [pid for pid in pids if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_part_that_dies_while_all_is_being_stopped_is_not_started_again(tmp_path: Path) -> None:
    async def run(supervisor: Supervisor, said: list[str]) -> None:
        await supervisor.start(part("sleeper", SLEEPER, at_once))
        pid = pid_of(tmp_path, "sleeper")
        os.kill(pid, signal.SIGTERM)
        await until(lambda: not is_alive(pid))
        supervisor.stop_restarting()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        assert pid_of(tmp_path, "sleeper") == pid

    assert supervised(tmp_path, run) == []
