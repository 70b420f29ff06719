"""Events for `sam local invoke`: signed as a client would, and the answers that must come back."""

import json
from pathlib import Path

import pytest

from client.credentials import Account, Credentials
from client.signing import Key, signature
from deploy import event, invoke
from exchange import signing
from tests.templates import target, wiring

KNOWN = Credentials("http://127.0.0.1:8080", {name: Account(name, Key(name, "secret")) for name in ("alice", "admin")})


@pytest.mark.parametrize("name", event.CALLS)
def test_a_call_made_for_sam_goes_to_the_function_that_the_load_balancer_would_choose(name: str) -> None:
    made = event.event(event.CALLS[name], KNOWN, 1_795_000_000_000)

    assert target(made["httpMethod"], made["path"]) == event.CALLS[name].function
    assert event.CALLS[name].function in wiring().functions


def test_an_event_carries_the_signature_of_its_own_query_and_body() -> None:
    call = event.CALLS["orders"]

    headers = event.event(call, KNOWN, 1_795_000_000_123)["multiValueHeaders"]

    expected = signature(
        Key("alice", "secret"), 1_795_000_000_123, 60_000, "GET", "/v1/orders", "status=open&symbol=BTC-USD", b""
    )
    assert headers["x-api-signature"] == [expected]
    text = signing.text_to_sign(
        "alice", "1795000000123", "60000", "GET", "/v1/orders", {"status": "open", "symbol": "BTC-USD"}, b""
    )
    assert signing.signature_of("secret", text) == expected


def test_every_event_has_an_answer_and_every_answer_an_event() -> None:
    answers = json.loads(Path("events/answers.json").read_text())

    names = [expected.name for expected in invoke.events(wiring().functions)]

    assert sorted(answers) == sorted(names)


def test_an_answer_with_another_status_or_code_is_told_apart() -> None:
    problem = {"statusCode": 401, "body": '{"code": "auth.missing", "title": "..."}'}

    assert invoke.difference({"status": 401, "code": "auth.missing"}, problem) == ""
    assert invoke.difference({"status": 401}, problem) != ""
    assert invoke.difference({"status": 400, "code": "auth.missing"}, problem) != ""
    assert invoke.difference({"batchItemFailures": []}, {"batchItemFailures": [{"itemIdentifier": "1"}]}) != ""


def test_a_container_finds_under_the_gateways_address_what_is_on_loopback() -> None:
    values = {"A": "redis://127.0.0.1:6379/0", "B": "http://127.0.0.1:9200", "C": "plain"}

    assert invoke.reachable(values, "172.17.0.1") == (
        {"A": "redis://172.17.0.1:6379/0", "B": "http://172.17.0.1:9200", "C": "plain"},
        {6379, 9200},
    )
