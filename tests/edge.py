"""The three API functions in this process before a real matching service, database and Redis, and keys to sign with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from exchange import sealing
from exchange.commands import CreateApiKey
from exchange.gateway_client import GatewayClient
from exchange.settings import Service as Settings
from matching_service import seed
from tests.alb import Key, Reply, asked, event, function
from tests.servers import postgres, valkey
from tests.serving import SECRET, seeded, serving, settings, submitted

KEYS = {name: Key(f"ex_{name}", f"the secret of {name}") for name in ("admin", "alice", "bob", "maker", "reader")}
OWNERS = {"reader": "alice"}
SCOPES = {**seed.SCOPES, "reader": ("read",)}


@dataclass(frozen=True, slots=True)
class Edge:
    """The functions, and how to call them as somebody."""

    trading: ModuleType
    market_data: ModuleType
    admin: ModuleType
    engine: GatewayClient
    database_url: str

    def call(self, who: str | None, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        """Send a request, signed where `who` is somebody, to the function that the listener's rules would choose."""
        key = None if who is None else KEYS[who]
        return asked(self._function(path), event(method, path, body, key=key, **more))

    def pages(self, who: str, path: str, query: Mapping[str, str]) -> list[list[Any]]:
        """Read a list to its end; return the entries of each page."""
        found: list[list[Any]] = []
        cursor: dict[str, str] = {}
        while True:
            body = self.call(who, "GET", path, query={**query, **cursor}).body
            found.append(body["data"])
            if body["next_cursor"] is None:
                return found
            cursor = {"cursor": body["next_cursor"]}

    def send(self, given: Mapping[str, Any]) -> Reply:
        """Send a ready-made event."""
        return asked(self._function(given["path"]), given)

    def _function(self, path: str) -> ModuleType:
        if path.startswith("/v1/admin/"):
            return self.admin
        public = ("/v1/time", "/v1/live", "/v1/ready", "/v1/health", "/v1/assets", "/v1/markets")
        return self.market_data if path.startswith(public) else self.trading


@contextmanager
def edge(**environment: str) -> Iterator[Edge]:
    """Start everything, seed it, and close it at the end."""
    given = settings(postgres(), valkey())
    with serving(given) as engine:
        seeded(engine)
        submitted(engine, *keys(given.key_encryption_key))
        with functions(given, engine, **environment) as made:
            yield made


@contextmanager
def functions(given: Settings, engine: GatewayClient, **environment: str) -> Iterator[Edge]:
    """Load the functions for a cell that somebody leads, or nobody."""
    with pytest.MonkeyPatch.context() as patch:
        variables = {
            "DATABASE_URL": given.database_url,
            "REDIS_URL": given.redis_url,
            "GATEWAY_SECRET": SECRET,
            "KEY_ENCRYPTION_KEY": given.key_encryption_key,
            "LOG_LEVEL": "ERROR",
            **environment,
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        made = Edge(function("trading"), function("market_data"), function("admin"), engine, given.database_url)
        try:
            yield made
        finally:
            for each in (made.trading, made.market_data, made.admin):
                each.clients().close()


def keys(key_encryption_key: str) -> list[CreateApiKey]:
    """Return the commands that make the keys of all who call."""
    return [_key(name, key_encryption_key) for name in KEYS]


def _key(name: str, key_encryption_key: str) -> CreateApiKey:
    key = KEYS[name]
    sealed = sealing.seal(key_encryption_key, key.api_key, key.secret)
    account_id = seed.account_id_of(OWNERS.get(name, name))
    return CreateApiKey(f"key-{name}", account_id, key.api_key, sealed, SCOPES[name], ())
