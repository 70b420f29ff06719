"""Who may do what by template.yaml: no role more than its part needs."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.templates import ROOT, TEMPLATE, resources, text_of

SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"

MANAGED_POLICIES = {"AWSLambdaVPCAccessExecutionRole"}
ANY_RESOURCE = {"ecr:GetAuthorizationToken": "the token that logs in to the registry belongs to no repository"}


def test_no_role_may_do_more_than_its_part_needs() -> None:
    assert [problem for name, item in statements() for problem in wide(name, item)] == []


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement that gives a role a right, with the name of who has it."""
    for name, role in resources("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])
    for name, function in resources("AWS::Serverless::Function").items():
        for policy in function.get("Policies", []):
            assert isinstance(policy, dict), f"{name}: {policy} is wider than it says; write the statement"
            yield from ((name, statement) for statement in policy["Statement"])


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
        (statement,) = policies[name]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert buckets["ArchiveBucket"]["ObjectLockEnabled"] is True


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
print(json.dumps(Translator({}, Parser()).translate(template, {"AllowedCidr": "192.0.2.0/24"})))
"""


@cache
def expanded() -> dict[str, Any]:
    """Return the resources that CloudFormation would be given."""
    if not SAM_PYTHON.exists():
        pytest.skip("the SAM command line is not installed: `make check` does that")
    command = [str(SAM_PYTHON), "-c", EXPAND, str(TEMPLATE)]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"AWS_DEFAULT_REGION": "eu-central-1"}
    )
    found: dict[str, Any] = json.loads(answer.stdout)["Resources"]
    return found


def test_sam_adds_no_right_that_the_template_does_not_name() -> None:
    roles = {name: item["Properties"] for name, item in expanded().items() if item["Type"] == "AWS::IAM::Role"}

    managed = {
        text_of(arn).rstrip('"}').rpartition("/")[2]
        for role in roles.values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert managed == MANAGED_POLICIES | {"AWSLambdaBasicExecutionRole"}
    found = [
        problem
        for name, role in roles.items()
        for policy in role.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        for problem in wide(name, statement)
    ]
    assert found == []
