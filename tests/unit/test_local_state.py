"""The state folder of a local system, and the settings it is started with."""

import stat
from pathlib import Path

import pytest

from local import settings
from local.settings import Settings, SettingsError
from local.state import InUseError, State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_a_folder_that_is_locked_cannot_be_locked_or_removed_again(state: State) -> None:
    state.lock()
    state.tell("http://127.0.0.1:8080")

    for attempt in (State(state.folder).lock, State(state.folder).remove):
        with pytest.raises(
            InUseError, match=r"is in use by process \d+ \(http://127.0.0.1:8080\): stop that one first"
        ):
            attempt()

    state.release()
    State(state.folder).remove()
    assert not state.folder.exists()


def test_removing_what_is_not_there_is_no_error(state: State) -> None:
    state.remove()


def test_secrets_are_made_once_and_only_their_owner_reads_them(state: State) -> None:
    state.lock()

    first = state.secrets()

    assert state.secrets() == first
    assert len({first.gateway_secret, first.key_encryption_key, first.owner_password, first.service_password}) == 4
    assert len(first.key_encryption_key) == 64
    assert stat.S_IMODE((state.folder / "secrets.json").stat().st_mode) == 0o600
    state.release()


def test_the_logs_of_the_last_run_are_kept_once(state: State) -> None:
    state.lock()
    for text in ("first", "second", "third"):
        state.rotate_logs()
        state.log_path("part").write_text(text)

    assert state.log_path("part").read_text() == "third"
    assert (state.logs / "part.log.1").read_text() == "second"
    state.release()


def test_a_log_that_grew_too_long_keeps_its_newest_half(state: State) -> None:
    state.lock()
    with state.log_path("part").open("ab") as writer:
        writer.write(b"0123456789abcdef")
        writer.flush()

        state.bound_logs(most=10)
        writer.write(b"more")

    assert (state.logs / "part.log.1").read_bytes() == b"bcdef"
    assert state.log_path("part").read_bytes() == b"more"
    state.release()


def test_the_last_lines_of_a_log_are_told_on_one_line(state: State) -> None:
    state.lock()

    assert state.log_tail("part") == "it wrote nothing"
    state.log_path("part").write_text("a\nb\nc\n")
    assert state.log_tail("part", 2) == "b | c"
    state.release()


def test_settings_come_from_the_environment_and_have_defaults() -> None:
    assert settings.load({}) == Settings()
    assert settings.load({"PORT": "9000", "ENVIRONMENT": "lean"}) == Settings(port=9000, environment="lean")
    assert settings.load({"PORT": ""}).port == 8080
    with pytest.raises(SettingsError, match="PORT must be a whole number, not 'many'"):
        settings.load({"PORT": "many"})


@pytest.mark.parametrize("port", ["-1", "65536", "70000", "9" * 30])
def test_a_port_that_cannot_be_is_refused_by_name(port: str) -> None:
    with pytest.raises(SettingsError, match=f"^PORT must be 0 to 65535, not {port}$"):
        settings.load({"PORT": port})


def test_children_do_not_inherit_what_slows_them_or_changes_their_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("KEPT", "yes")

    inherited = settings.inherited()

    assert inherited["KEPT"] == "yes"
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"} & set(inherited)
