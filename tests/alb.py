"""Signed and unsigned requests as the load balancer hands them to a function, and the functions loaded to take them."""

import base64
import hashlib
import hmac
import importlib.util
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"


@dataclass(frozen=True, slots=True)
class Key:
    """What a request is signed with."""

    api_key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function answered; `body` is decoded."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def fields(self) -> list[str]:
        """The fields that a problem document names."""
        return [error["field"] for error in self.body.get("errors", [])]


def function(name: str) -> ModuleType:
    """Load one function's module afresh: its clients are its own."""
    spec = importlib.util.spec_from_file_location(f"functions_{name}", FUNCTIONS / name / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(module: ModuleType, event: Mapping[str, Any]) -> Reply:
    """Hand an event to a function and read its answer."""
    answer = module.handler(event, None)
    assert set(answer) <= {"statusCode", "statusDescription", "multiValueHeaders", "body", "isBase64Encoded"}
    json.dumps(answer)
    headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Reply(answer["statusCode"], headers, json.loads(answer["body"]))


def event(
    method: str,
    path: str,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str | None] | None = None,
    key: Key | None = None,
    timestamp: int | None = None,
    address: str = "192.0.2.7",
) -> dict[str, Any]:
    """Build an event; bytes are sent as they are, anything else as JSON; a header of None is left out."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {"host": "exchange.example", "content-type": "application/json", "x-forwarded-for": f"10.9.8.7, {address}"}
    if key is not None:
        stamp = str(int(time.time() * 1000) if timestamp is None else timestamp)
        sent |= signed_headers(key, stamp, method, path, dict(query or {}), raw)
    given = {**sent, **(headers or {})}
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:::targetgroup/test/1"}},
        "httpMethod": method,
        "path": path,
        "multiValueQueryStringParameters": {_encoded(name): [_encoded(value)] for name, value in (query or {}).items()},
        "multiValueHeaders": {name: [value] for name, value in given.items() if value is not None},
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }


def signed_headers(
    key: Key, timestamp: str, method: str, path: str, query: Mapping[str, str], raw: bytes, window: str = "5000"
) -> dict[str, str]:
    """Sign as the contract says, written out apart from the code under test."""
    canonical = "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query))
    body_hash = hashlib.sha256(raw).hexdigest()
    lines = ["EX1-HMAC-SHA256", key.api_key, timestamp, window, method, path, canonical, body_hash]
    signature = hmac.new(key.secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    return {
        "x-api-key": key.api_key,
        "x-api-timestamp": timestamp,
        "x-api-window": window,
        "x-api-signature": signature,
    }


def _encoded(text: str) -> str:
    return quote(text, safe="")
