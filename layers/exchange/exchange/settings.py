"""Settings from the environment: the one place that reads it, and never at import."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the truth and the cache are; the password is kept out of the URL so that the URL may be logged."""

    database_url: str
    redis_url: str
    database_password: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """What an API function needs beside the stores; limits are per second and key (`public`: per address).

    Where there is an `orders_stream`, an order goes there when the engine is silent for `engine_silence_ms`.
    """

    database_url: str
    redis_url: str
    gateway_secret: str
    key_encryption_key: str
    database_password: str = ""
    search_url: str = ""
    cell: int = 1
    home_region: str = "local"
    mutations_per_second: int = 1000
    mutations_burst: int = 2000
    cancels_per_second: int = 100
    reads_per_second: int = 2000
    public_per_second: int = 500
    engine_timeout_ms: int = 5000
    orders_stream: str = ""
    engine_silence_ms: int = 300
    service_name: str = "edge"
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """Where AWS is and who asks, as Lambda sets it: keys, or where keys are to be had; URLs stand for an emulator."""

    aws_region: str = ""
    aws_access_key_id: str = ""
    aws_secret_access_key: str = ""
    aws_session_token: str = ""
    aws_container_credentials_full_uri: str = ""
    aws_container_authorization_token: str = ""
    aws_endpoint_url: str = ""
    aws_endpoint_url_kinesis: str = ""


@dataclass(frozen=True, slots=True)
class Consumer:
    """What a stream consumer needs: where it writes."""

    archive_bucket: str = ""
    search_url: str = ""
    service_name: str = "consumer"
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Service:
    """What the matching service needs. `gateway_host` is where it listens, `gateway_address` what it publishes.

    `health_port` is on the loopback; 0, like a `gateway_port` of 0, is any free one.
    """

    database_url: str
    redis_url: str
    gateway_secret: str
    key_encryption_key: str
    executions_stream: str
    orders_stream: str = ""
    search_url: str = ""
    archive_bucket: str = ""
    database_password: str = ""
    cell: int = 1
    home_region: str = "local"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 7000
    gateway_address: str = ""
    health_port: int = 0
    lease_ms: int = 1000
    batch_commands: int = 500
    queue_commands: int = 20000
    failpoint: str = ""
    ecs_agent_uri: str = ""
    service_name: str = "matching_service"
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What the check of a task's health needs."""

    health_port: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What `bootstrap` needs: the owner's way into the database, the passwords of the roles that serve, the secrets.

    `search_writers` and `search_readers` are IAM roles, separated by commas, for a domain with fine-grained access;
    `credentials_secret` is the secret of Secrets Manager that is given the seeded keys. Each may be empty.
    """

    owner_database_url: str
    database_url: str
    redis_url: str
    gateway_secret: str
    key_encryption_key: str
    owner_database_password: str = ""
    database_password: str = ""
    functions_database_password: str = ""
    search_url: str = ""
    search_writers: str = ""
    search_readers: str = ""
    credentials_secret: str = ""
    cell: int = 1
    home_region: str = "local"
    service_name: str = "bootstrap"
    log_level: str = "INFO"


def load(kind: type[Settings], environment: Mapping[str, str] | None = None) -> Settings:
    """Read one kind of settings: the field `lease_ms` from `LEASE_MS`.

    Raise `ValueError` naming the variable that is missing or no number.
    """
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name = field.name.upper()
        if name in source:
            values[field.name] = _value(name, source[name], field.type)
        elif field.default is MISSING:
            raise ValueError(f"the environment variable {name} is not set")
    return kind(**values)


def trace_context() -> str:
    """Return the X-Ray trace of the invocation under way, as Lambda tells it anew for each, "" outside of Lambda."""
    return os.environ.get("_X_AMZN_TRACE_ID", "")


def _value(name: str, text: str, kind: Any) -> Any:
    if kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"the environment variable {name} must be a whole number, not {text!r}") from None
