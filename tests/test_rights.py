"""Who may do what by template.yaml: no role more than its part needs."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from local import cloudformation
from tests.templates import ROOT, TEMPLATE, resources, text_of

SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"

MANAGED_POLICIES = {"AWSLambdaVPCAccessExecutionRole"}
BY_SAM = {
    "AWSLambdaBasicExecutionRole": "logs, for a function without a role of its own",
    "AWSXrayWriteOnlyAccess": "traces, which belong to no resource",
    "AWSCodeDeployRoleForLambda": "what moves the alias from one version to the next",
}
ANY_RESOURCE = {
    "ecr:GetAuthorizationToken": "the token that logs in to the registry belongs to no repository",
    "xray:PutTraceSegments": "a trace belongs to no resource",
    "xray:PutTelemetryRecords": "what a daemon tells of itself belongs to no resource",
}
PROFILES = {
    "small": {},
    "production": {
        "Profile": "production",
        "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/x",
        "TradingProvisioned": "10",
        "SnapStart": "true",
    },
}


def test_no_role_may_do_more_than_its_part_needs() -> None:
    assert [problem for name, item in statements() for problem in wide(name, item)] == []


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement that gives a role a right, with the name of who has it."""
    for name, role in resources("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in flat(policy["PolicyDocument"]["Statement"]))
    for name, policy in resources("AWS::IAM::RolePolicy").items():
        yield from ((name, statement) for statement in flat(policy["PolicyDocument"]["Statement"]))
    for name, function in resources("AWS::Serverless::Function").items():
        for policy in function.get("Policies", []):
            assert isinstance(policy, dict), f"{name}: {policy} is wider than it says; write the statement"
            yield from ((name, statement) for statement in policy["Statement"])


def flat(items: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield every statement, those of both branches of a condition included."""
    for item in items:
        if "Fn::If" in item:
            yield from flat([branch for branch in item["Fn::If"][1:] if branch != {"Ref": "AWS::NoValue"}])
        else:
            yield item


def wide(name: str, statement: dict[str, Any]) -> Iterator[str]:
    actions = as_list(statement["Action"])
    yield from (f"{name} may {action}" for action in actions if "*" in action)
    if "NotAction" in statement or "NotResource" in statement:
        yield f"{name} has a negative statement"
    if "*" in as_list(statement["Resource"]) and not set(actions) <= set(ANY_RESOURCE):
        yield f"{name} may {actions} on anything"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "s3:*", "Resource": "arn:aws:s3:::archive/*"},
        {"Action": ["s3:GetObject", "*"], "Resource": "arn:aws:s3:::archive/*"},
        {"Action": ["ecr:GetAuthorizationToken", "s3:GetObject"], "Resource": "*"},
        {"NotAction": "iam:*", "Action": [], "Resource": []},
    ],
)
def test_a_wide_statement_is_found(statement: dict[str, Any]) -> None:
    assert list(wide("Planted", statement))


def test_a_function_on_a_stream_brings_its_own_role_since_sam_would_let_it_read_every_stream() -> None:
    functions = resources("AWS::Serverless::Function")

    assert [name for name, function in functions.items() if "Events" in function and "Role" not in function] == []
    managed = {
        text_of(arn) for role in resources("AWS::IAM::Role").values() for arn in role.get("ManagedPolicyArns", [])
    }
    assert {arn.rstrip('"}').rpartition("/")[2] for arn in managed} == MANAGED_POLICIES


def test_a_bucket_is_private_versioned_encrypted_and_reached_by_tls_only() -> None:
    buckets = resources("AWS::S3::Bucket")
    policies = {policy["Bucket"]["Ref"]: policy for policy in resources("AWS::S3::BucketPolicy").values()}
    assert set(policies) == set(buckets)

    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        statement = policies[name]["PolicyDocument"]["Statement"][0]
        assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    allowed = {name for name, policy in policies.items() if len(policy["PolicyDocument"]["Statement"]) > 1}
    assert allowed == {"BalancerLogsBucket"}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_archive_of_production_is_locked_and_that_of_small_is_not(profile: str) -> None:
    archive = cloudformation.load(TEMPLATE, PROFILES[profile]).of_type("AWS::S3::Bucket")["ArchiveBucket"]

    assert ("ObjectLockConfiguration" in archive, archive.get("ObjectLockEnabled", False)) == (
        (True, True) if profile == "production" else (False, False)
    )


# ── After SAM ────────────────────────────────────────────────────────────────────────────────────────────────────────

EXPAND = """
import json, sys
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
template = yaml_parse(open(sys.argv[1]).read())
for item in template["Resources"].values():
    for key in ("CodeUri", "ContentUri"):
        if key in item.get("Properties", {}):
            item["Properties"][key] = "s3://bucket/key"
parameters = {"AllowedCidr": "192.0.2.0/24"} | json.loads(sys.argv[2])
print(json.dumps(Translator({}, Parser()).translate(template, parameters)))
"""


@cache
def expanded(profile: str) -> dict[str, Any]:
    """Return the template that CloudFormation would be given."""
    if not SAM_PYTHON.exists():
        pytest.skip("the SAM command line is not installed: `make check` does that")
    command = [str(SAM_PYTHON), "-c", EXPAND, str(TEMPLATE), json.dumps(PROFILES[profile])]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"AWS_DEFAULT_REGION": "eu-central-1"}
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_sam_adds_no_right_that_the_template_does_not_name(profile: str) -> None:
    items = expanded(profile)["Resources"].items()
    roles = {name: item["Properties"] for name, item in items if item["Type"] == "AWS::IAM::Role"}

    managed = {
        text_of(arn).rstrip('"}').rpartition("/")[2]
        for role in roles.values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert managed == MANAGED_POLICIES | set(BY_SAM)
    found = [
        problem
        for name, role in roles.items()
        for policy in role.get("Policies", [])
        for statement in flat(policy["PolicyDocument"]["Statement"])
        for problem in wide(name, statement)
    ]
    assert found == []
