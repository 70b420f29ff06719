"""`python -m local`: the whole exchange in the foreground until Ctrl-C; `python -m local clean` removes its state."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

from local.cloudformation import TemplateError
from local.settings import Settings, SettingsError, load
from local.state import InUseError, State
from local.supervisor import CannotGoOn
from local.system import System

LOG_CHECK_SECONDS = 30.0


def say(line: str) -> None:
    """Print one line at once; a reader that has gone does not stop the exchange."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def run(settings: Settings, state: State) -> int:
    """Run the system until a signal or until it cannot go on; leave no process behind."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    system = System(settings, state, say)
    starting = loop.create_task(_up(system, state))
    failed = system.supervisor.failed
    stopped = loop.create_task(stopping.wait())
    try:
        first: list[asyncio.Future[Any]] = [starting, stopped, failed]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not stopping.is_set():
            starting.result()
            await asyncio.wait(first[1:], return_when=asyncio.FIRST_COMPLETED)
        if failed.done() and not stopping.is_set():
            raise CannotGoOn(failed.result())
    finally:
        system.supervisor.stop_restarting()
        say("stopping …")
        for task in (starting, stopped):
            task.cancel()
        await asyncio.gather(starting, stopped, return_exceptions=True)
        await system.down()
        say("stopped")
    return 0


async def _up(system: System, state: State) -> None:
    await system.up()
    state.tell(system.base_url)
    say(f"ready {system.base_url}")
    say(f"try it: curl -s '{system.base_url}/v1/markets/BTC-USD/book?depth=5'")
    asyncio.get_running_loop().call_later(LOG_CHECK_SECONDS, _bound_logs, state)


def _bound_logs(state: State) -> None:
    state.bound_logs()
    asyncio.get_running_loop().call_later(LOG_CHECK_SECONDS, _bound_logs, state)


def main(words: list[str]) -> int:
    """Run or clean; whatever prevents it is one line and exit code 1."""
    try:
        settings = load()
        state = State(Path(settings.state))
        if words == ["clean"]:
            state.remove()
            return 0
        if words:
            sys.stderr.write("usage: python -m local [clean]\n")
            return 2
        state.lock()
        state.rotate_logs()
        return asyncio.run(run(settings, state))
    except (CannotGoOn, InUseError, SettingsError, TemplateError) as error:
        sys.stderr.write(f"exchange: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
