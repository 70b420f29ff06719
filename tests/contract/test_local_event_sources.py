"""The event-source poller with a real stream, a real edge and real environments: nothing is lost and order is kept."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import emulated
from tests.aws_server import aws_server

ROOT = Path(__file__).resolve().parents[2]

TEMPLATE = """
Globals: {Function: {Timeout: 5, Handler: app.handler}}
Resources:
  CollectorFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/collector/
      Environment: {Variables: {COLLECTED: !Ref Somewhere}}
      Events:
        Numbers:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Numbers.Arn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            ParallelizationFactor: 2
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 1
            DestinationConfig: {OnFailure: {Type: S3, Destination: !GetAtt Letters.Arn}}
  ReporterFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/reporter/
      Environment: {Variables: {COLLECTED: !Ref Somewhere}}
      Events:
        Numbers:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Numbers.Arn
            StartingPosition: TRIM_HORIZON
            FunctionResponseTypes: [ReportBatchItemFailures]
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {TargetType: lambda, Targets: [{Id: !GetAtt CollectorFunction.Arn}]}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties: {DefaultActions: [{Type: forward, TargetGroupArn: !Ref Group}]}
  Numbers: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 2}}
  Letters: {Type: AWS::S3::Bucket}
  Somewhere: {Type: AWS::SSM::Parameter}
"""

COLLECTOR = """
import base64, json, os
def handler(event, context):
    texts = [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    if any("poison" in text for text in texts):
        raise ValueError("poison")
    with open(os.environ["COLLECTED"] + "/collector", "a") as file:
        file.write("".join(text + "\\n" for text in texts))
"""

REPORTER = """
import base64, os
tried = set()
def handler(event, context):
    with open(os.environ["COLLECTED"] + "/reporter", "a") as file:
        for record in event["Records"]:
            number = record["kinesis"]["sequenceNumber"]
            text = base64.b64decode(record["kinesis"]["data"]).decode()
            if text.endswith("5") and number not in tried:  # each of these fails once
                tried.add(number)
                return {"batchItemFailures": [{"itemIdentifier": number}]}
            file.write(text + "\\n")
    return {"batchItemFailures": []}
"""


@dataclass(frozen=True, slots=True)
class Running:
    folder: Path
    kinesis: Any
    s3: Any

    def put(self, *texts: str) -> None:
        records = [{"Data": text.encode(), "PartitionKey": text.partition("-")[0]} for text in texts]
        assert self.kinesis.put_records(StreamName="numbers", Records=records)["FailedRecordCount"] == 0

    def collected(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (self.folder / "letters").rglob("*.json")]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sources")
    for name, text in {"collector": COLLECTOR, "reporter": REPORTER}.items():
        (folder / "functions" / name).mkdir(parents=True)
        (folder / "functions" / name / "app.py").write_text(text)
    (folder / "template.yaml").write_text(TEMPLATE)
    bindings = folder / "bindings.json"
    bindings.write_text(json.dumps({"values": {"COLLECTED": str(folder)}, "overrides": {}, "always": {}}))
    given = ["--template", str(folder / "template.yaml")]
    with aws_server() as url:
        emulated.make(url, {"Numbers": 2}, ["Letters"])
        variables = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        variables |= {"AWS_DEFAULT_REGION": "us-east-1"}
        edge = subprocess.Popen(
            [sys.executable, "-m", "local.edge", *given, "--bindings", str(bindings)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert edge.stdout is not None
        invoke = f"http://127.0.0.1:{json.loads(edge.stdout.readline())['invoke_port']}"
        poller = subprocess.Popen(
            [
                *[sys.executable, "-m", "local.event_sources", *given, "--invoke", invoke],
                *["--dead-letters", str(folder / "letters")],
            ],
            cwd=ROOT, env={**os.environ, **variables},
        )  # fmt: skip
        with edge, poller:
            yield Running(folder, emulated.client("kinesis", url), emulated.client("s3", url))
            poller.terminate()
            assert poller.wait(10) == 0
            edge.terminate()
            assert edge.wait(10) == 0


def test_every_record_reaches_every_source_once_and_in_the_order_of_its_key(running: Running) -> None:
    sent = [f"{key}-{number}" for number in range(100) for key in ("a", "b", "c")]

    for begin in range(0, 300, 50):
        running.put(*sent[begin : begin + 50])

    for name in ("collector", "reporter"):
        until(lambda name=name: len(running.collected(name)) >= 300)  # type: ignore[misc]
        got = running.collected(name)
        for key in ("a", "b", "c"):
            assert [text for text in got if text[0] == key] == [text for text in sent if text[0] == key], name


def test_a_record_is_in_the_function_within_a_second(running: Running) -> None:
    before = time.monotonic()

    running.put("latency-1")
    until(lambda: "latency-1" in running.collected("collector"))

    assert time.monotonic() - before < 1.0


def test_a_poisoned_record_ends_as_a_dead_letter_with_its_payload_and_holds_up_no_other(running: Running) -> None:
    running.put(*(f"p-{number}" for number in range(4)), "p-poison", *(f"p-{number}" for number in range(4, 8)))

    until(lambda: "p-7" in running.collected("collector"))

    assert [text for text in running.collected("collector") if text[0] == "p"] == [f"p-{n}" for n in range(8)]
    (letter,) = running.letters()
    (record,) = json.loads(letter["payload"])["Records"]
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert base64.b64decode(record["kinesis"]["data"]) == b"p-poison"
    (stored,) = running.s3.list_objects_v2(Bucket="letters")["Contents"]
    assert json.loads(running.s3.get_object(Bucket="letters", Key=stored["Key"])["Body"].read()) == letter
