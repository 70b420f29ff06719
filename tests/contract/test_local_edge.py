"""The local edge with real execution environments, of both kinds, on a small template of its own."""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

TEMPLATE = """
Globals: {Function: {Timeout: 2, MemorySize: 256, Handler: app.handler, Runtime: python3.13}}
Resources:
  MainFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/main/, Environment: {Variables: {GIVEN: literal, SECRET: !Ref SomeSecret}}}
  BrokenFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/broken/}
  NarrowFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/main/, ReservedConcurrentExecutions: 1, Environment: {Variables: {GIVEN: narrow}}}
  SomeSecret: {Type: AWS::SecretsManager::Secret}
  MainGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      TargetType: lambda
      TargetGroupAttributes: [{Key: lambda.multi_value_headers.enabled, Value: 'true'}]
      Targets: [{Id: !GetAtt MainFunction.Arn}]
  BrokenGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {TargetType: lambda, Targets: [{Id: !GetAtt BrokenFunction.Arn}]}
  NarrowGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      TargetType: lambda
      TargetGroupAttributes: [{Key: lambda.multi_value_headers.enabled, Value: 'true'}]
      Targets: [{Id: !GetAtt NarrowFunction.Arn}]
  NarrowRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 4
      Conditions: [{Field: path-pattern, Values: [/narrow/*]}]
      Actions: [{Type: forward, TargetGroupArn: !Ref NarrowGroup}]
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties: {DefaultActions: [{Type: forward, TargetGroupArn: !Ref MainGroup}]}
  BrokenRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 1
      Conditions: [{Field: path-pattern, Values: [/broken]}]
      Actions: [{Type: forward, TargetGroupArn: !Ref BrokenGroup}]
  FixedRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 2
      Conditions: [{Field: path-pattern, Values: [/fixed]}]
      Actions: [{Type: fixed-response, FixedResponseConfig: {StatusCode: '418', MessageBody: teapot}}]
  MovedRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 3
      Conditions: [{Field: path-pattern, Values: [/moved/*]}]
      Actions: [{Type: redirect, RedirectConfig: {Path: '/new/#{path}', StatusCode: HTTP_302}}]
"""

MAIN = """
import json, os, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    kind = event.get("path", "/").rpartition("/")[2]
    if kind == "crash": os._exit(3)
    if kind == "raise": raise ValueError("on purpose")
    if kind == "late": time.sleep(30)
    if kind == "slow": time.sleep(0.3)
    if kind == "malformed": return {"nothing": 1}
    if kind == "unserialisable": return {"statusCode": 200, "body": object()}
    if kind == "large": return {"statusCode": 200, "body": "x" * (1 << 20)}
    told = {
        "calls": calls, "pid": os.getpid(), "event": event, "variables": dict(os.environ),
        "remaining": context.get_remaining_time_in_millis(), "function": context.function_name,
        "arn": context.invoked_function_arn, "memory": str(context.memory_limit_in_mb), "cwd": os.getcwd(),
        "request_id": context.aws_request_id,
    }
    return {"statusCode": 200, "multiValueHeaders": {"X-Many": ["1", "2"]}, "body": json.dumps(told)}
"""


@dataclass(frozen=True, slots=True)
class Edge:
    port: int
    invoke_port: int
    process: "subprocess.Popen[str]"

    def request(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def told(self, path: str = "/", body: bytes = b"", **headers: str) -> dict[str, Any]:
        status, _, answer = self.request(path, "POST" if body else "GET", body, **headers)
        assert status == 200, answer
        document: dict[str, Any] = json.loads(answer)
        return document

    def invoke(self, function: str, event: object) -> tuple[int, str | None, Any]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.invoke_port, timeout=20)) as connection:
            connection.request("POST", f"/2015-03-31/functions/{function}/invocations", json.dumps(event))
            answer = connection.getresponse()
            return answer.status, answer.headers.get("X-Amz-Function-Error"), json.loads(answer.read())

    def environments(self) -> dict[str, list[int]]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.invoke_port, timeout=20)) as connection:
            connection.request("GET", "/environments")
            document: dict[str, list[int]] = json.loads(connection.getresponse().read())
            return document


@pytest.fixture(scope="module", params=["awslambdaric", "lean"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    for name, text in {"main": MAIN, "broken": "import nothing_of_that_name"}.items():
        (folder / "functions" / name).mkdir(parents=True)
        (folder / "functions" / name / "app.py").write_text(text)
    (folder / "template.yaml").write_text(TEMPLATE)
    bindings = {"values": {"SECRET": "local"}, "overrides": {}, "always": {"AWS_ACCESS_KEY_ID": "key"}}
    (folder / "bindings.json").write_text(json.dumps(bindings))
    (folder / "logs").mkdir()
    words = ["--template", folder / "template.yaml", "--bindings", folder / "bindings.json", "--logs", folder / "logs"]
    process = subprocess.Popen(
        [sys.executable, "-m", "local.edge", *map(str, words), "--environment", request.param, "--environments", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ports = json.loads(process.stdout.readline())
    with process:
        yield Edge(ports["port"], ports["invoke_port"], process)
        process.terminate()
        assert process.wait(10) == 0


def test_a_request_reaches_the_function_as_the_event_of_a_load_balancer(edge: Edge) -> None:
    told = edge.told("/a//b%2Fc?x=%20&x=2", b'{"a": 1}', **{"Content-Type": "application/json"})

    event = told["event"]
    assert (event["httpMethod"], event["path"], event["body"]) == ("POST", "/a//b%2Fc", '{"a": 1}')
    assert event["multiValueQueryStringParameters"] == {"x": ["%20", "2"]}
    assert event["multiValueHeaders"]["x-forwarded-for"] == ["127.0.0.1"]
    assert event["multiValueHeaders"]["x-forwarded-port"] == [str(edge.port)]


def test_binary_bodies_arrive_whole(edge: Edge) -> None:
    body = bytes(range(256)) * 2000

    event = edge.told("/", body, **{"Content-Type": "application/octet-stream"})["event"]

    assert base64.b64decode(event["body"]) == body


def test_repeated_headers_of_the_answer_reach_the_client(edge: Edge) -> None:
    _, headers, _ = edge.request("/")

    assert headers.get_all("X-Many") == ["1", "2"]


def test_an_environment_keeps_its_module_state_between_calls(edge: Edge) -> None:
    first = edge.told("/narrow/")
    second = edge.told("/narrow/")

    assert (second["pid"], second["calls"]) == (first["pid"], first["calls"] + 1)
    assert second["request_id"] != first["request_id"]


def test_a_function_sees_the_environment_that_lambda_gives_it(edge: Edge) -> None:
    told = edge.told()

    variables = told["variables"]
    assert told["cwd"] == variables["LAMBDA_TASK_ROOT"]
    assert told["function"] == variables["AWS_LAMBDA_FUNCTION_NAME"] == "MainFunction"
    assert told["memory"] == variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert told["arn"].endswith(":function:MainFunction")
    assert 0 < told["remaining"] <= 2000
    assert (variables["GIVEN"], variables["SECRET"], variables["AWS_ACCESS_KEY_ID"]) == ("literal", "local", "key")
    assert variables["_HANDLER"] == "app.handler"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert "HOME" not in variables


def test_a_crash_is_502_in_html_and_the_next_request_finds_a_new_environment(edge: Edge) -> None:
    before = edge.told("/narrow/")["pid"]

    status, headers, page = edge.request("/narrow/crash")

    assert (status, headers["Content-Type"]) == (502, "text/html")
    assert b"<h1>502 Bad Gateway</h1>" in page
    assert edge.told("/narrow/")["pid"] != before


@pytest.mark.parametrize("kind", ["raise", "malformed", "unserialisable", "large"])
def test_an_error_or_a_malformed_answer_is_502_and_the_environment_goes_on(edge: Edge, kind: str) -> None:
    before = edge.told("/narrow/")

    assert edge.request(f"/narrow/{kind}")[0] == 502

    after = edge.told("/narrow/")
    assert (after["pid"], after["calls"]) == (before["pid"], before["calls"] + 2)


def test_a_function_that_takes_longer_than_its_timeout_is_killed(edge: Edge) -> None:
    before = edge.told("/narrow/")["pid"]

    assert edge.request("/narrow/late")[0] == 502

    assert before not in edge.environments()["NarrowFunction"]
    assert edge.told("/narrow/")["pid"] != before


def test_a_function_that_cannot_be_imported_is_502_and_leaves_the_others_alone(edge: Edge) -> None:
    assert [edge.request("/broken")[0] for _ in range(3)] == [502, 502, 502]
    assert edge.told()["calls"]


def test_requests_at_the_same_time_get_environments_of_their_own_up_to_the_bound(edge: Edge) -> None:
    with ThreadPoolExecutor(12) as threads:
        told = list(threads.map(lambda _: edge.told("/slow"), range(12)))

    assert 2 <= len({each["pid"] for each in told}) <= 3
    assert len(edge.environments()["MainFunction"]) <= 3


def test_each_environment_killed_from_outside_fails_one_request_at_most(edge: Edge) -> None:
    edge.told()
    pids = edge.environments()["MainFunction"]

    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    statuses = [edge.request("/")[0] for _ in range(len(pids) + 2)]
    assert statuses.count(502) <= len(pids)
    assert statuses[-1] == 200


def test_rules_may_answer_and_redirect_without_any_function(edge: Edge) -> None:
    assert edge.request("/fixed")[::2] == (418, b"teapot")

    status, headers, _ = edge.request("/moved/a?b=c")

    assert (status, headers["Location"]) == (302, f"http://127.0.0.1:{edge.port}/new/moved/a?b=c")


def test_a_body_over_one_megabyte_is_413(edge: Edge) -> None:
    assert edge.request("/", "POST", b"x" * ((1 << 20) + 1))[0] == 413


def test_a_trace_is_refused(edge: Edge) -> None:
    assert edge.request("/", "TRACE")[0] == 405


def test_an_invocation_gets_the_answer_or_the_error_document(edge: Edge) -> None:
    status, error, told = edge.invoke("NarrowFunction", {"Records": [1]})
    assert (status, error) == (200, None)
    assert json.loads(told["body"])["event"] == {"Records": [1]}

    status, error, document = edge.invoke("NarrowFunction", {"path": "/raise"})
    assert (status, error) == (200, "Unhandled")
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "on purpose")

    status, error, document = edge.invoke("NarrowFunction", {"path": "/crash"})
    assert (status, error, document["errorMessage"]) == (200, "Unhandled", "Runtime exited")

    assert edge.invoke("NoFunction", {})[0] == 404


def test_reserved_concurrency_bounds_a_function(edge: Edge) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: edge.invoke("NarrowFunction", {"path": "/slow"}), range(4)))

    assert len(edge.environments()["NarrowFunction"]) == 1
