"""A freshly signed event for `sam local invoke`: what a load balancer would hand over now; it sends nothing."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client import credentials
from client.credentials import Credentials
from client.signing import canonical_query, signed_headers

WINDOW_MS = 60_000
"""The longest there is: a container takes seconds to start."""
TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/exchange/6d0ecf831eec9f09"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the contract, who signs it, and the function that answers it."""

    function: str
    account: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None


_ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.00100", "price": "50000.00"}
_STOP = {"symbol": "BTC-USD", "side": "sell", "type": "stop", "quantity": "0.00100", "stop_price": "40000.00"}
CALLS: Mapping[str, Call] = {
    "place": Call("TradingFunction", "alice", "POST", "/v1/orders", body=_ORDER),
    "test": Call("TradingFunction", "alice", "POST", "/v1/orders/test", body=_ORDER),
    "stop": Call("TradingFunction", "alice", "POST", "/v1/orders", body=_STOP),
    "orders": Call("TradingFunction", "alice", "GET", "/v1/orders", {"status": "open", "symbol": "BTC-USD"}),
    "cancel-all": Call("TradingFunction", "alice", "DELETE", "/v1/orders", {"symbol": "BTC-USD"}),
    "balances": Call("TradingFunction", "alice", "GET", "/v1/balances"),
    "account": Call("TradingFunction", "alice", "GET", "/v1/account"),
    "halt": Call("AdminFunction", "admin", "POST", "/v1/admin/halt"),
    "resume": Call("AdminFunction", "admin", "POST", "/v1/admin/resume"),
    "search": Call("AdminFunction", "admin", "GET", "/v1/admin/search/trades", {"symbol": "BTC-USD"}),
}


def event(call: Call, known: Credentials, now_ms: int) -> dict[str, Any]:
    """Return the event of `call`, signed at `now_ms`; raise `ValueError` where its account is not known."""
    body = "" if call.body is None else json.dumps(call.body)
    query = canonical_query(call.query)
    key = known.account(call.account).key
    signed = signed_headers(key, now_ms, WINDOW_MS, call.method, call.path, query, body.encode())
    headers = {
        "host": "exchange.example",
        "content-type": "application/json",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        **{name.lower(): value for name, value in signed.items()},
    }
    return {
        "requestContext": {"elb": {"targetGroupArn": TARGET_GROUP}},
        "httpMethod": call.method,
        "path": call.path,
        # A load balancer decodes nothing: the values are as they stand in the URL.
        "multiValueQueryStringParameters": {n: [v] for n, _, v in (p.partition("=") for p in query.split("&") if p)},
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": body,
        "isBase64Encoded": False,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print one event; 1, the reason on standard error, where nobody can sign."""
    parser = argparse.ArgumentParser(prog="python -m deploy.event", description=__doc__)
    parser.add_argument("name", choices=sorted(CALLS))
    parser.add_argument("--credentials", type=Path, default=credentials.DEFAULT_PATH)
    given = parser.parse_args(arguments)
    try:
        made = event(CALLS[given.name], credentials.read(given.credentials), time.time_ns() // 1_000_000)
    except ValueError as error:
        print(f"event: {error}", file=sys.stderr)  # noqa: T201 - what the command is for
        return 1
    print(json.dumps(made))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
