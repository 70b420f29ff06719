"""The way to AWS: what each step asks, in what order, and what it refuses; AWS itself is moto or a fake."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from deploy import bootstrap, cost, destroy, image, picture, preflight, stack, two_regions
from deploy.__main__ import clients_of, tasks_of
from deploy.stack import Missing, Target
from deploy.two_regions import Place, Taken
from local import cloudformation
from tests.templates import ROOT, raw

REGION = "eu-central-1"
PLACE = Place("exchange", REGION, "eu-west-1", "exchange.example", "arn:first", "arn:second")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[stack.Clients]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield clients_of(REGION)


class Answers:
    """A client that answers each call with what it was given for it, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self.answers = {name: list(given) for name, given in answers.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append((name, arguments))
            return self.answers[name].pop(0) if len(self.answers[name]) > 1 else self.answers[name][0]

        return call


def with_limits(account: stack.Clients, at_once: int) -> stack.Clients:
    """Return the account with a number of functions that may run at once, and five addresses."""
    limits = {
        "lambda": Answers({"get_account_settings": [{"AccountLimit": {"ConcurrentExecutions": at_once}}]}),
        "service-quotas": Answers({"get_service_quota": [{"Quota": {"Value": 5.0}}]}),
    }
    return lambda service: limits.get(service) or account(service)


# ── Before ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_preflight_makes_what_is_missing_and_lets_this_machine_in(account: stack.Clients, tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text((ROOT / "samconfig.toml").read_text())

    lines = list(
        preflight.run(with_limits(account, 1000), stack.target("default", config), config, lambda: "192.0.2.7")
    )

    assert "service-linked role of opensearchservice: made" in lines
    assert lines[-1] == "AllowedCidr in samconfig.toml is now 192.0.2.7/32, the address of this machine"
    assert stack.target("default", config).parameters["AllowedCidr"] == "192.0.2.7/32"


def test_preflight_leaves_addresses_alone_that_somebody_wrote(account: stack.Clients, tmp_path: Path) -> None:
    target = Target("exchange", REGION, {"AllowedCidr": "198.51.100.0/24"})

    lines = list(preflight.run(with_limits(account, 1000), target, tmp_path / "none.toml", lambda: "192.0.2.7"))

    assert lines[-1] == "AllowedCidr is 198.51.100.0/24"


def test_preflight_refuses_a_profile_that_the_quota_of_functions_cannot_hold(account: stack.Clients) -> None:
    target = Target("exchange", REGION, {"Profile": "production", "TradingReserved": "100000"})

    with pytest.raises(Missing, match="ask for more of the quota L-B99A9384"):
        list(preflight.run(with_limits(account, 1000), target, Path("none"), lambda: ""))


# ── Between ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def outputs(**values: str) -> Answers:
    listed = [{"OutputKey": name, "OutputValue": value} for name, value in values.items()]
    return Answers({"describe_stacks": [{"Stacks": [{"Outputs": listed}]}]})


def test_the_image_is_built_for_the_stacks_processor_pushed_and_read_back_by_digest() -> None:
    ran: list[tuple[list[str], str]] = []
    registry = Answers(
        {
            "get_authorization_token": [{"authorizationData": [{"authorizationToken": "QVdTOnNlY3JldA=="}]}],
            "describe_images": [{"imageDetails": [{"imageDigest": "sha256:abc"}]}],
        }
    )
    made = outputs(MatchingRepositoryUri="1.dkr.example/matching", ImageArchitecture="arm64")

    pushed = image.push(
        {"cloudformation": made, "ecr": registry}.__getitem__, "exchange", "v1", lambda c, t: ran.append(([*c], t))
    )

    assert pushed == "1.dkr.example/matching@sha256:abc"
    assert ran[0] == (["docker", "login", "--username", "AWS", "--password-stdin", "1.dkr.example"], "secret")
    assert ran[1][0] == image.build_command("1.dkr.example/matching:v1", "arm64")
    assert {"linux/arm64", "--push", "1.dkr.example/matching:v1"} <= set(ran[1][0])
    assert registry.asked[-1] == ("describe_images", {"repositoryName": "matching", "imageIds": [{"imageTag": "v1"}]})


COMMAND = (
    "aws ecs run-task --region eu-central-1 --cluster matching --task-definition bootstrap:3 --launch-type FARGATE"
    " --network-configuration 'awsvpcConfiguration={subnets=[subnet-1],securityGroups=[sg-1],assignPublicIp=DISABLED}'"
)


def tasks(*states: dict[str, Any]) -> Answers:
    return Answers(
        {"run_task": [{"tasks": [{"taskArn": "task/1"}]}], "describe_tasks": [{"tasks": [state]} for state in states]}
    )


def test_bootstrap_runs_the_task_of_the_output_waits_for_it_and_names_the_secret() -> None:
    ecs = tasks({"lastStatus": "RUNNING"}, {"lastStatus": "STOPPED", "containers": [{"exitCode": 0}]})
    made, waited = outputs(BootstrapCommand=COMMAND, CredentialsArn="arn:secret"), list[float]()

    lines = list(bootstrap.run({"cloudformation": made, "ecs": ecs}.__getitem__, "exchange", waited.append))

    assert ecs.asked[0][1] == {
        "cluster": "matching",
        "taskDefinition": "bootstrap:3",
        "launchType": "FARGATE",
        "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
        },
    }
    assert waited == [bootstrap.POLL_S]
    assert lines[-1].endswith("--secret-id arn:secret")


def test_a_bootstrap_that_fails_says_why() -> None:
    ecs = tasks({"lastStatus": "STOPPED", "stoppedReason": "out of memory", "containers": [{"exitCode": 137}]})
    made = outputs(BootstrapCommand=COMMAND, CredentialsArn="arn:secret")

    with pytest.raises(Missing, match="ended with 137: out of memory"):
        list(bootstrap.run({"cloudformation": made, "ecs": ecs}.__getitem__, "exchange", lambda _: None))


@pytest.mark.parametrize(("image", "printed"), [("", "MatchingTasks=0"), ("repository@sha256:1", "")])
def test_the_first_deploy_of_an_image_starts_no_task_before_bootstrap(image: str, printed: str) -> None:
    deployed = Answers(
        {
            "describe_stacks": [
                {"Stacks": [{"Parameters": [{"ParameterKey": "MatchingImage", "ParameterValue": image}]}]}
            ]
        }
    )
    target = Target("exchange", REGION, {"MatchingTasks": "3"})

    assert tasks_of({"cloudformation": deployed}.__getitem__, target, before_bootstrap=True) == printed
    assert tasks_of({"cloudformation": deployed}.__getitem__, target, before_bootstrap=False) == "MatchingTasks=3"


# ── A later deploy ───────────────────────────────────────────────────────────────────────────────────────────────────

MERGE = """
import sys
from samcli.commands.deploy.deploy_context import DeployContext
from samcli.yamlhelper import yaml_parse
merged = DeployContext.merge_parameters(yaml_parse(open(sys.argv[1]).read()), {"AllowedCidr": "192.0.2.0/24"})
print(next(item for item in merged if item["ParameterKey"] == "MatchingImage"))
"""


def test_a_later_plain_deploy_keeps_the_image() -> None:
    python = ROOT / ".venv-sam" / "bin" / "python"
    if not python.exists():
        pytest.skip("the SAM command line is not installed: `make check` does that")

    said = subprocess.run(
        [str(python), "-c", MERGE, str(ROOT / "template.yaml")], check=True, capture_output=True, text=True
    )

    assert said.stdout.strip() == "{'ParameterKey': 'MatchingImage', 'UsePreviousValue': True}"


# ── Two regions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_input_of_the_two_regions_is_a_parameter_and_every_output_taken_was_given_before() -> None:
    known: set[tuple[str, str]] = set()
    for step in two_regions.plan(PLACE):
        document = cloudformation.document(ROOT / step.template)
        assert set(step.inputs) <= set(document["Parameters"]), step.name
        taken = {item for value in step.inputs.values() if isinstance(value, Taken) for item in value.outputs}
        assert taken <= known, step.name
        known |= {(step.name, name) for name in document["Outputs"]}


def test_the_two_regions_come_up_between_what_they_join_and_what_leads_to_them() -> None:
    steps = two_regions.plan(PLACE)

    assert [(step.name, step.template, step.region) for step in steps] == [
        ("global", "global.yaml", REGION),
        ("first", "template.yaml", REGION),
        ("second", "template.yaml", "eu-west-1"),
        ("records", "global.yaml", REGION),
    ]
    assert steps[0].stack == steps[3].stack


def test_a_second_region_is_given_all_that_its_rule_demands_and_the_production_sizes() -> None:
    second = next(step for step in two_regions.plan(PLACE) if step.name == "second")
    demanded = set(re.findall(r"'Ref': '(\w+)'", str(raw()["Rules"]["ASecondRegionIsGivenWhatItShares"])))

    assert demanded <= set(second.inputs)
    assert "Profile=production" in two_regions.command(second, {})
    given = {("first", "DataKeyArn"): "arn:key"}
    assert "PrimaryKeyArn=arn:key" in two_regions.command(second, given)
    assert "PrimaryKeyArn=<first.DataKeyArn>" in two_regions.command(second, {})


def test_a_dry_run_prints_the_order_and_asks_nobody() -> None:
    words = ["--profile", "production", "two-regions", "--dry-run", "--domain", "exchange.example"]

    said = subprocess.run(
        [sys.executable, "-m", "deploy", *words], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()

    assert [line.partition(":")[0] for line in said] == ["1. global", "2. first", "3. second", "4. records"]


def test_every_profile_names_parameters_that_the_template_has() -> None:
    for profile in ("default", "production", "production-secondary"):
        assert set(stack.target(profile).parameters) <= set(raw()["Parameters"])
    assert stack.target("production-secondary").region != stack.target("production").region


# ── Down ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class DeployedStack:
    """CloudFormation with one stack, which it deletes without what its policies retain."""

    def __init__(self, profile: str, held: Mapping[str, str]) -> None:
        self.profile = profile
        self.held = held
        self.is_deleted = False

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - as boto3 calls it
        parameters = [{"ParameterKey": "Profile", "ParameterValue": self.profile}]
        return {"Stacks": [{"StackId": f"id-of-{StackName}", "Parameters": parameters}]}

    def get_paginator(self, _: str) -> "DeployedStack":
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:  # noqa: N803
        resources = [{"ResourceType": kind, "PhysicalResourceId": name} for kind, name in self.held.items()]
        return [{"StackResourceSummaries": resources}]

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.is_deleted = True

    def get_waiter(self, _: str) -> "DeployedStack":
        return self

    def wait(self, StackName: str) -> None:  # noqa: N803
        assert self.is_deleted


def with_stack(account: stack.Clients, profile: str) -> tuple[stack.Clients, DeployedStack]:
    account("s3").create_bucket(Bucket="archive-1", CreateBucketConfiguration={"LocationConstraint": REGION})
    account("s3").put_object(Bucket="archive-1", Key="a", Body=b"x")
    account("kinesis").create_stream(StreamName="orders-1", ShardCount=1)
    secret = account("secretsmanager").create_secret(Name="sealing", SecretString="x")["ARN"]
    key = account("kms").create_key()["KeyMetadata"]["KeyId"]
    held = {
        "AWS::S3::Bucket": "archive-1",
        "AWS::Kinesis::Stream": "orders-1",
        "AWS::SecretsManager::Secret": secret,
        "AWS::KMS::Key": key,
    }
    deployed = DeployedStack(profile, held)
    return lambda service: deployed if service == "cloudformation" else account(service), deployed


def test_destroy_leaves_nothing_of_a_small_stack(account: stack.Clients) -> None:
    clients, deployed = with_stack(account, "small")

    lines = list(destroy.run(clients, "exchange"))

    assert deployed.is_deleted
    assert "the stack exchange is gone" in lines
    assert account("s3").list_buckets()["Buckets"] == []
    assert account("kinesis").list_streams()["StreamNames"] == []
    assert account("secretsmanager").list_secrets()["SecretList"] == []
    key = account("kms").describe_key(KeyId=deployed.held["AWS::KMS::Key"])
    assert key["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_destroy_refuses_production(account: stack.Clients) -> None:
    clients, deployed = with_stack(account, "production")

    with pytest.raises(Missing, match="no stack of the profile small"):
        list(destroy.run(clients, "exchange"))

    assert not deployed.is_deleted
    assert len(account("s3").list_buckets()["Buckets"]) == 1


def test_destroy_knows_what_to_do_with_every_kind_that_a_policy_retains() -> None:
    policies = {"Retain", "Snapshot"}
    kept = {item["Type"] for item in raw()["Resources"].values() if item.get("DeletionPolicy") in policies}

    assert kept - {"AWS::KMS::ReplicaKey"} == set(destroy.LEFTOVERS)


# ── Pages made by a script ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_of_costs_is_what_the_script_writes_and_small_at_rest_is_under_250_dollars() -> None:
    assert (ROOT / "docs" / "cost.md").read_text() == cost.page()
    assert sum(cost.bill("small", 0).values()) < 250


def test_the_picture_is_what_the_script_draws() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()

    assert picture.into(page) == page
