"""Start, stop and restart of the whole system, as a person at a terminal sees it."""

import json
import os
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System, command, processes_of, started


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def suffering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system for tests that break it."""
    with started(tmp_path_factory.mktemp("suffering")) as system:
        yield system


def until_gone(state: Path, seconds: float) -> list[int]:
    """Wait for all processes of a system to end; return those that have not."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(state)) and time.monotonic() < deadline:
        threading.Event().wait(0.1)
    return left


def test_the_first_start_writes_credentials_only_its_owner_can_read(exchange: System) -> None:
    document = exchange.credentials

    assert document["base_url"] == exchange.base_url
    assert set(document["accounts"]) == {"admin", "alice", "bob", "maker"}
    assert set(document["accounts"]["alice"]) == {"account_id", "api_key", "secret", "scopes"}
    for name in ("credentials.json", "secrets.json", "bindings.json"):
        assert stat.S_IMODE((exchange.state / name).stat().st_mode) == 0o600, name


def test_the_ready_line_is_followed_by_a_curl_line_that_works(exchange: System) -> None:
    line = exchange.output.line("curl", 5)

    address = re.search(r"'(http[^']+)'", line)
    assert address is not None
    assert exchange.get(address[1].removeprefix(exchange.base_url))["symbol"] == "BTC-USD"


def test_a_second_start_on_the_same_state_says_so_in_one_line(exchange: System) -> None:
    second = command(exchange.state, 0, {})

    said, _ = second.communicate(timeout=30)

    assert second.returncode == 1
    assert re.fullmatch(rf"exchange: .*{exchange.state.name} is in use by process \d+ .*\n", said), said


def test_a_start_on_a_taken_port_says_so_in_one_line(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = command(state, port, {})
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert said == f"exchange: port {port} cannot be used (Address already in use): choose one with PORT\n"
    assert processes_of(state) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_no_process_even_when_one_had_died(state: Path, number: signal.Signals) -> None:
    with started(state) as system:
        system.kill("valkey")
        system.output.line("valkey died", 20)
        before = time.monotonic()

        code = system.stop(number)

        assert code == 0
        assert time.monotonic() - before < 10
        assert processes_of(state) == []


def test_a_killed_supervisor_leaves_no_process(state: Path) -> None:
    with started(state) as system:
        assert len(processes_of(state)) > 8

        system.stop(signal.SIGKILL)

        assert until_gone(state, 10) == []


def test_state_survives_a_stop_and_the_next_command_gets_the_next_sequence(state: Path) -> None:
    with started(state) as system:
        before = system.get("/v1/markets/BTC-USD/book")
        credentials = system.credentials["accounts"]

    with started(state) as system:
        after = system.get("/v1/markets/BTC-USD/book")

        assert after["sequence"] == before["sequence"]
        assert system.credentials["accounts"] == credentials


@pytest.mark.parametrize(
    "name", ["matching_service", "edge", "event_sources", "valkey", "ministack", "osmem", "postgres"]
)
def test_a_process_that_dies_is_started_again(name: str, suffering: System) -> None:
    before = suffering.pids()[name]

    assert suffering.killed(name) == f"{name} died (SIGKILL); starting it again"

    assert suffering.pids()[name] != before
    assert suffering.get("/v1/time")["time"]


def test_clean_refuses_while_the_system_runs(exchange: System) -> None:
    import subprocess
    import sys

    cleaning = subprocess.run(
        [sys.executable, "-m", "local", "clean"],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "STATE": str(exchange.state)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert cleaning.returncode == 1
    assert "is in use by process" in cleaning.stderr
    assert json.loads((exchange.state / "secrets.json").read_text())


def test_a_start_that_cannot_be_names_the_reason_and_leaves_nothing(state: Path) -> None:
    process = command(state, 0, {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/exchange"})

    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "exchange: DATABASE_URL: no connection to postgresql://127.0.0.1:1/exchange as nobody" in said
    assert processes_of(state) == []
