"""What must come of a request that is refused, and a floor on which nothing may change meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from exchange.commands import Command
from exchange.stores.database import Database
from tests.alb import Reply
from tests.edge import Edge, edge
from tests.serving import submitted

ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "100.00", "quantity": "1"}
ORDER_ID = "1-" + "a" * 26
API_KEYS = "/v1/admin/accounts/acc_alice/api-keys"
DEPOSITS = "/v1/admin/accounts/acc_alice/deposits"
WITHDRAWALS = "/v1/admin/accounts/acc_alice/withdrawals"


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and what must come of it; no `wrong` means that no field is named."""

    who: str | None
    method: str
    path: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str | None] = field(default_factory=dict)
    status: int = 422
    code: str = "request.invalid"
    wrong: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query or self.body!r}"[:90]


@contextmanager
def unchanged_floor(*commands: Command) -> Iterator[Edge]:
    """Start everything, apply `commands`, and see at the end that no other reached the journal."""
    with edge(SEARCH_URL="http://127.0.0.1:9") as made:
        if commands:
            submitted(made.engine, *commands)
        journal = Database(made.database_url)
        committed = "SELECT last_sequence FROM fence"
        before = journal.rows(committed)
        yield made
        after = journal.rows(committed)
        journal.close()
        assert after == before, "something malformed reached the journal"


def check(reply: Reply, case: Case) -> None:
    """Compare an answer with what the case says."""
    found = (reply.status, reply.body["code"], reply.body["status"], reply.headers["Content-Type"])
    assert found == (case.status, case.code, case.status, "application/problem+json"), reply.body
    assert reply.body["request_id"] == reply.headers["X-Request-Id"]
    assert {"type", "title", "detail"} <= reply.body.keys()
    if case.wrong is not None:
        assert case.wrong in reply.fields, reply.body
