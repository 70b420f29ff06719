"""The local run's settings: the one place under local/ that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

MOST_PORT = 65_535
MOST_STANDBYS = 8
NOT_INHERITED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


class SettingsError(ValueError):
    """A variable holds what it cannot mean; the message is one line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `make run` may be told; a part whose address is given is used and not started."""

    port: int = 8080
    state: str = ".local"
    template: str = "template.yaml"
    database_url: str = ""
    redis_url: str = ""
    aws_endpoint_url: str = ""
    search_url: str = ""
    replicated: int = 0  # 1: PostgreSQL as a primary with a synchronous standby that takes over
    standbys: int = 0  # how many more tasks of the matching service stand by
    environment: str = "auto"
    environments: int = 16  # orders mostly wait for their commit: 16 make larger batches than 8, 28 % more orders/s
    public_per_second: int = 10_000
    engine_silence_ms: int = 300  # so long a function waits for the leader before an order goes to the waiting room
    gateway_host: str = "127.0.0.1"  # where the matching service listens: a container cannot reach loopback
    log_level: str = "INFO"


def load(source: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raise `SettingsError` naming the variable that is no number, or no port."""
    given = os.environ if source is None else source
    values: dict[str, str | int] = {}
    for name, kind in Settings.__annotations__.items():
        text = given.get(name.upper(), "")
        if not text:
            continue
        try:
            values[name] = int(text) if kind is int else text
        except ValueError:
            raise SettingsError(f"{name.upper()} must be a whole number, not {text!r}") from None
    settings = Settings(**values)  # type: ignore[arg-type]
    if not 0 <= settings.port <= MOST_PORT:
        raise SettingsError(f"PORT must be 0 to {MOST_PORT}, not {settings.port}")
    if not 0 <= settings.standbys <= MOST_STANDBYS:
        raise SettingsError(f"STANDBYS must be 0 to {MOST_STANDBYS}, not {settings.standbys}")
    return settings


def inherited() -> dict[str, str]:
    """Return what child processes inherit: all but what would slow them or change what they import."""
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
