"""What `sam local invoke` and `sam deploy` are given: events/ and samconfig.toml, held against the template."""

import base64
import json
import tomllib
from pathlib import Path

import pytest

from exchange import stream
from local import cloudformation
from tests.templates import ROOT, raw, resources, target, wiring

EVENTS = sorted((ROOT / "events").glob("*/*.json"))


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_event_is_one_that_its_function_would_be_given(path: Path) -> None:
    event = json.loads(path.read_text())
    (name,) = (name for name, function in wiring().functions.items() if function.code.name == path.parent.name)

    if "Records" in event:
        (source,) = (source for source in wiring().sources if source.function == name)
        assert source.stream == "ExecutionsStream"
        assert [record["eventSource"] for record in event["Records"]] == ["aws:kinesis"] * len(event["Records"])
    else:
        assert target(event["httpMethod"], event["path"]) == name
        assert set(event) >= {"multiValueHeaders", "multiValueQueryStringParameters", "body", "isBase64Encoded"}
        assert ":targetgroup/" in event["requestContext"]["elb"]["targetGroupArn"]


def test_every_function_has_events_among_them_some_that_need_nothing_running() -> None:
    names = {f"{path.parent.name}/{path.stem}" for path in EVENTS}

    assert {name.partition("/")[0] for name in names} == {f.code.name for f in wiring().functions.values()}
    assert names >= {"market_data/time", "market_data/live", "trading/bad_signature", "archiver/batch", "indexer/batch"}


def test_a_stream_batch_is_what_the_publisher_would_write_and_the_poison_is_not() -> None:
    def data(name: str) -> bytes:
        return base64.b64decode(json.loads((ROOT / "events" / name).read_text())["Records"][0]["kinesis"]["data"])

    record = stream.decode(data("archiver/batch.json"))

    assert (record.first_sequence, record.last_sequence, len(record.orders), len(record.trades)) == (10, 11, 2, 1)
    assert data("indexer/batch.json") == data("archiver/batch.json")
    with pytest.raises(stream.PoisonRecord):
        stream.decode(data("archiver/poison.json"))


def test_the_environment_of_a_local_invoke_sets_only_what_the_template_declares() -> None:
    given = json.loads((ROOT / "events/environment.json").read_text())["Parameters"]
    declared = {name for function in wiring().functions.values() for name in function.environment}
    decided_by_aws = {
        name
        for function in wiring().functions.values()
        for name, value in function.environment.items()
        if isinstance(value, cloudformation.Intrinsic)
    }

    assert decided_by_aws <= set(given) <= declared


def test_samconfig_makes_flags_unnecessary() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    profile = {command: given["parameters"] for command, given in config["default"].items()}

    assert profile["validate"]["lint"] is True
    assert {"stack_name", "region"} <= set(profile["global"])
    assert profile["deploy"]["capabilities"] == "CAPABILITY_IAM"
    assert profile["deploy"]["resolve_s3"] is True
    assert (ROOT / profile["local_invoke"]["env_vars"]).is_file()
    given = {item.partition("=")[0] for item in profile["deploy"]["parameter_overrides"]}
    assert {"AllowedCidr"} <= given <= set(raw()["Parameters"])


def test_the_names_made_of_the_stacks_name_are_short_enough() -> None:
    stack = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["global"]["parameters"]["stack_name"]
    groups = resources("AWS::ElasticLoadBalancingV2::TargetGroup").values()

    names = [group["Name"]["Fn::Sub"].replace("${AWS::StackName}", stack) for group in groups]
    assert [name for name in names if len(name) > 32] == []
