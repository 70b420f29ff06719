"""What every answer has, whatever the route: ids, problem documents, the right refusal of what is no call of ours."""

import io
import json
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.api_gateway import Response

from exchange.errors import Rejected, Unavailable
from exchange.http import Resolver, answered
from exchange.observability import Logger
from tests.alb import Reply, event


class App:
    """A small function: one route of each kind."""

    def __init__(self) -> None:
        self.log = io.StringIO()
        self.resolver = Resolver()
        self.resolver.logger = Logger("test", "INFO", self.log)
        self.resolver.get("/v1/things")(lambda: answered({"query": self.resolver.received.query}))
        self.resolver.post("/v1/things")(self.echo)
        self.resolver.delete("/v1/things/<name>")(lambda name: answered({"name": name}))
        self.resolver.get("/v1/rejected")(self.reject)
        self.resolver.get("/v1/unavailable")(self.fail)
        self.resolver.get("/v1/bug")(lambda: answered({"x": 1 // 0}))

    def handler(self, given: Any, context: Any) -> Any:
        return self.resolver.answer(given, context)

    def echo(self) -> Response[str]:
        received = self.resolver.received
        return answered({"body": received.body.decode("latin-1"), "address": received.address}, 201)

    def reject(self) -> Response[str]:
        raise Rejected("order.price_tick", "price is off", (("price", "is off"),), status=422)

    def fail(self) -> Response[str]:
        raise Unavailable("away", execution="none", retry_after_s=2)

    def asked(self, given: dict[str, Any]) -> Reply:
        answer = self.handler(given, None)
        headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        return Reply(answer["statusCode"], headers, json.loads(answer["body"]))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def test_an_answer_has_an_id_and_says_what_it_is() -> None:
    reply = App().asked(event("GET", "/v1/things"))

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert len(reply.headers["X-Request-Id"]) == 32


def test_an_id_that_was_sent_is_taken_over() -> None:
    reply = App().asked(event("GET", "/v1/nothing", headers={"x-request-id": "mine-42"}))

    assert (reply.headers["X-Request-Id"], reply.body["request_id"]) == ("mine-42", "mine-42")


@pytest.mark.parametrize("sent", ["", "a b", "é", "a" * 129, "a\nb"])
def test_an_id_that_could_not_be_printed_is_replaced(sent: str) -> None:
    assert len(App().asked(event("GET", "/v1/things", headers={"x-request-id": sent})).headers["X-Request-Id"]) == 32


def test_a_problem_has_the_members_of_the_contract() -> None:
    reply = App().asked(event("GET", "/v1/rejected", headers={"x-request-id": "r"}))

    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert reply.body == {
        "type": "urn:exchange:problem:order.price_tick",
        "title": reply.body["title"],
        "status": 422,
        "detail": "price is off",
        "code": "order.price_tick",
        "request_id": "r",
        "errors": [{"field": "price", "message": "is off"}],
    }


def test_what_is_unavailable_says_whether_anything_happened_and_when_to_come_back() -> None:
    reply = App().asked(event("GET", "/v1/unavailable"))

    assert (reply.status, reply.body["code"], reply.body["execution"]) == (503, "engine.unavailable", "none")
    assert reply.headers["Retry-After"] == "2"


def test_a_bug_is_a_500_without_its_traceback_and_is_logged_with_it() -> None:
    app = App()

    reply = app.asked(event("GET", "/v1/bug"))

    assert (reply.status, reply.headers["Content-Type"]) == (500, "application/problem+json")
    assert "ZeroDivisionError" not in json.dumps(reply.body)
    bug, outcome = app.lines()
    assert bug["level"] == "ERROR"
    assert "ZeroDivisionError" in bug["error"]
    assert outcome["status"] == 500


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/thing", "/v1/things/", "/v1/things/a/b", "/V1/things", "/v1/%74hings"]
)
def test_a_path_of_no_route_is_not_found(path: str) -> None:
    reply = App().asked(event("GET", path))

    assert (reply.status, reply.body["code"]) == (404, "request.not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/things", "GET, POST"),
        ("DELETE", "/v1/things", "GET, POST"),
        ("OPTIONS", "/v1/things", "GET, POST"),
        ("HEAD", "/v1/things", "GET, POST"),
        ("GET", "/v1/things/a", "DELETE"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    reply = App().asked(event(method, path))

    assert (reply.status, reply.body["code"], reply.headers["Allow"]) == (405, "request.method", allowed)


@pytest.mark.parametrize("path", ["//v1/things", "/v1//things", "/v1/../things", "/v1/things/%2e%2e", "/v1/a%2Fb"])
def test_a_path_that_would_be_normalised_is_refused(path: str) -> None:
    reply = App().asked(event("GET", path))

    assert (reply.status, reply.body["code"]) == (400, "request.invalid")


def test_a_body_of_64_kb_is_taken_and_one_byte_more_is_not() -> None:
    assert App().asked(event("POST", "/v1/things", b"x" * 65536)).status == 201

    reply = App().asked(event("POST", "/v1/things", b"x" * 65537))

    assert (reply.status, reply.body["code"]) == (413, "request.too_large")


def test_a_body_comes_as_bytes_whether_it_was_encoded_or_not() -> None:
    encoded = event("POST", "/v1/things", b"\xff\x00")
    plain = {**event("POST", "/v1/things"), "body": "plain", "isBase64Encoded": False}
    none = {**event("POST", "/v1/things"), "body": None, "isBase64Encoded": False}

    assert [App().asked(each).body["body"] for each in (encoded, plain, none)] == ["\xff\x00", "plain", ""]


def test_a_body_that_cannot_be_decoded_is_refused() -> None:
    reply = App().asked({**event("POST", "/v1/things"), "body": "*", "isBase64Encoded": True})

    assert (reply.status, reply.body["code"]) == (400, "request.invalid")


def test_the_query_is_decoded_once() -> None:
    given = {**event("GET", "/v1/things"), "multiValueQueryStringParameters": {"a%20b": ["c%2520d"], "e": ["f+g"]}}

    assert App().asked(given).body == {"query": {"a b": "c%20d", "e": "f+g"}}


@pytest.mark.parametrize(
    "query", [{"a": ["1", "2"]}, {"a": ["1"], "%61": ["1"]}, {"a": ["%"]}, {"a": ["%ff"]}, {"%zz": ["1"]}, {"a": []}]
)
def test_a_query_that_is_repeated_or_cannot_be_decoded_is_refused(query: dict[str, list[str]]) -> None:
    reply = App().asked({**event("GET", "/v1/things"), "multiValueQueryStringParameters": query})

    assert (reply.status, reply.body["code"]) == (400, "request.invalid")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [(["192.0.2.1"], "192.0.2.1"), (["203.0.113.9, 192.0.2.1"], "192.0.2.1"), (["a", "b, 192.0.2.1"], "192.0.2.1")],
)  # fmt: skip
def test_the_address_is_the_last_that_was_forwarded_for(forwarded: list[str], address: str) -> None:
    given = event("POST", "/v1/things")
    given["multiValueHeaders"]["x-forwarded-for"] = forwarded

    assert App().asked(given).body["address"] == address


def test_names_of_headers_have_no_case() -> None:
    given = event("GET", "/v1/things")
    given["multiValueHeaders"] = {"X-ReQuest-ID": ["mine"]}

    assert App().asked(given).headers["X-Request-Id"] == "mine"


def test_an_event_with_single_values_is_answered_in_kind() -> None:
    given = {
        "httpMethod": "GET",
        "path": "/v1/things",
        "headers": {"x-request-id": "mine"},
        "queryStringParameters": {"a": "1"},
        "body": "",
        "isBase64Encoded": False,
    }

    answer = App().handler(given, None)

    assert answer["headers"] == {"Content-Type": "application/json", "X-Request-Id": "mine"}
    assert json.loads(answer["body"]) == {"query": {"a": "1"}}


def test_each_outcome_is_one_line() -> None:
    app = App()

    app.asked(event("GET", "/v1/rejected", headers={"x-request-id": "r"}))

    [line] = app.lines()
    assert (line["request_id"], line["status"], line["code"], line["path"]) == (
        "r",
        422,
        "order.price_tick",
        "/v1/rejected",
    )


def test_nothing_of_one_request_reaches_the_next() -> None:
    app = App()
    app.asked(event("GET", "/v1/unavailable", headers={"x-request-id": "first"}))

    reply = app.asked(event("GET", "/v1//", headers={"x-request-id": "second"}))

    assert (reply.headers["X-Request-Id"], reply.body["request_id"]) == ("second", "second")
    assert "Retry-After" not in reply.headers
