"""What the pages promise, held against what is there: resources, tests, benchmarks, types, profiles."""

import importlib.util
import json
import re
from typing import Any

import pytest

from deploy import two_regions
from local import cloudformation, template
from tests.templates import ROOT, TEMPLATE, raw, resources
from tests.test_rights import PROFILES

GLOBAL = cloudformation.document(ROOT / "global.yaml")
PRODUCTION = PROFILES["production"] | {"MatchingImage": "example/matching@sha256:0"}

OFFERED_BY_AURORA = {
    "rds.force_ssl", "idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_interval",
    "tcp_keepalives_count", "tcp_user_timeout", "statement_timeout", "lock_timeout", "log_min_duration_statement",
    "max_connections", "shared_preload_libraries", "rds.logical_replication", "client_connection_check_interval",
}  # fmt: skip
"""Settings that a parameter group of Aurora PostgreSQL takes, among those that a fault may ask for."""


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "promises.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def names_of_tests() -> set[str]:
    sources = (path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    return {name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE)}


def test_every_promise_names_resources_and_tests_that_exist() -> None:
    known = set(raw()["Resources"]) | set(GLOBAL["Resources"])
    tests = names_of_tests()

    assert len(rows()) >= 12
    for promise, named, shown, how in rows():
        assert set(re.findall(r"`(\w+)`", named)) <= known, promise
        for name in re.findall(r"`([\w.]+)`", shown):
            assert name in tests or importlib.util.find_spec(name), promise
        assert re.search("argued|tested|measured|seen", how), promise


def test_every_type_of_resource_has_its_reason() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("| type | reason |") :].split("\n## ")[0]
    told = set()
    for line in table.splitlines():
        service = ""
        for kind in re.findall(r"`(\w*::\w+)`", line):
            service = kind.split("::")[0] or service
            told.add(f"AWS::{service}::{kind.split('::')[1]}")

    used = {item["Type"] for item in [*raw()["Resources"].values(), *GLOBAL["Resources"].values()]}
    assert (used - told, told - used) == (set(), set())


def test_the_template_has_at_most_1200_lines() -> None:
    assert len(TEMPLATE.read_text().splitlines()) <= 1200


# ── Profiles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("parameters", "zones", "readers"), [({}, 2, 0), (PRODUCTION, 3, 2)])
def test_production_spans_three_zones_and_small_two(parameters: dict[str, str], zones: int, readers: int) -> None:
    stack = cloudformation.load(TEMPLATE, parameters)

    (balancer,) = stack.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    (subnets,) = stack.of_type("AWS::RDS::DBSubnetGroup").values()
    (cache,) = stack.of_type("AWS::ElastiCache::ReplicationGroup").values()
    assert (len(balancer["Subnets"]), len(subnets["SubnetIds"])) == (zones, zones)
    assert len(stack.of_type("AWS::RDS::DBInstance")) == 1 + readers
    assert (cache["ReplicasPerNodeGroup"], cache["MultiAZEnabled"]) == ((2, True) if readers else (0, False))
    assert bool(stack.of_type("AWS::EC2::NatGateway")) == (zones == 2)
    assert len(stack.of_type("AWS::EC2::VPCEndpoint")) == (6 if zones == 3 else 1)


def test_small_has_nothing_that_production_alone_pays_for() -> None:
    small = {item["Type"] for item in cloudformation.load(TEMPLATE).resources.values()}

    assert small & {"AWS::RDS::DBProxy", "AWS::WAFv2::WebACL", "AWS::Kinesis::StreamConsumer"} == set()


def test_production_refuses_to_be_without_a_certificate() -> None:
    rule = raw()["Rules"]["ProductionHasACertificate"]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Profile"}, "production"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}


def test_production_reads_the_stream_by_a_consumer_of_its_own_each() -> None:
    consumers = cloudformation.load(TEMPLATE, PRODUCTION).of_type("AWS::Kinesis::StreamConsumer")

    assert set(consumers) == {"ArchiveConsumer", "IndexConsumer"}
    sources = template.read(TEMPLATE, PRODUCTION).sources
    assert {source.stream for source in sources} == {"ExecutionsStream"}


def test_every_scaled_thing_has_a_floor_a_ceiling_and_a_policy() -> None:
    targets = resources("AWS::ApplicationAutoScaling::ScalableTarget")
    policies = resources("AWS::ApplicationAutoScaling::ScalingPolicy").values()

    assert {target["ServiceNamespace"] for target in targets.values()} == {"lambda", "ecs", "rds"}
    assert all({"MinCapacity", "MaxCapacity"} <= set(target) for target in targets.values())
    assert {policy["ScalingTargetId"]["Ref"] for policy in policies} == set(targets)


def test_a_bad_deploy_goes_back_by_itself() -> None:
    functions = resources("AWS::Serverless::Function")

    assert all(function["DeploymentPreference"]["Alarms"] for function in functions.values())
    service = resources("AWS::ECS::Service")["MatchingService"]["DeploymentConfiguration"]
    assert service["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert (service["MinimumHealthyPercent"], service["MaximumPercent"]) == (100, 200)


def test_trading_is_kept_warm_and_never_started_from_a_snapshot() -> None:
    functions = resources("AWS::Serverless::Function")

    assert {name for name, function in functions.items() if "SnapStart" not in function} == {"TradingFunction"}
    assert "ProvisionedConcurrencyConfig" in functions["TradingFunction"]


def test_a_second_region_has_neither_user_nor_password_nor_key_of_its_own() -> None:
    place = two_regions.Place("exchange", "eu-central-1", "eu-west-1", "", "arn:x", "arn:x")
    (second,) = (step for step in two_regions.plan(place) if step.name == "second")
    inputs = {name: value if isinstance(value, str) else "given" for name, value in second.inputs.items()}
    stack = cloudformation.load(TEMPLATE, PRODUCTION | inputs)

    cluster = stack.of_type("AWS::RDS::DBCluster")["DatabaseCluster"]
    assert not {"MasterUsername", "MasterUserPassword", "ManageMasterUserPassword", "DatabaseName"} & set(cluster)
    assert set(stack.of_type("AWS::SecretsManager::Secret")) == {"GatewaySecret", "CacheToken", "CacheUrl"}
    assert not stack.of_type("AWS::KMS::Key")
    assert set(stack.of_type("AWS::ECS::TaskDefinition")) == {"MatchingTask"}


# ── Details that only AWS would tell ─────────────────────────────────────────────────────────────────────────────────


def test_the_parameter_group_sets_what_aurora_offers() -> None:
    given = resources("AWS::RDS::DBClusterParameterGroup")["DatabaseParameters"]["Parameters"]

    assert set(given) <= OFFERED_BY_AURORA
    assert given["rds.force_ssl"] == 1


def test_the_firewall_answers_with_problems_of_the_contract_and_only_counts_what_our_clients_do() -> None:
    firewall = resources("AWS::WAFv2::WebACL")["Firewall"]
    bodies = {name: json.loads(body["Content"]) for name, body in firewall["CustomResponseBodies"].items()}

    assert {name: (body["status"], body["code"]) for name, body in bodies.items()} == {
        "Forbidden": (403, "auth.forbidden"),
        "TooLarge": (413, "request.too_large"),
        "TooMany": (429, "rate.limited"),
    }
    rules = {rule["Name"]: rule for rule in firewall["Rules"]}
    overrides = rules["common"]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert {item["Name"] for item in overrides} == {"SizeRestrictions_BODY", "NoUserAgent_HEADER"}
    assert all("CustomResponse" in rule["Action"]["Block"] for rule in rules.values() if "Action" in rule)


BODIES = [(0, False), (8193, False), (65536, False), (65537, True), (100_000, True), (10**9, True)]


@pytest.mark.parametrize(("length", "is_refused"), BODIES)
def test_the_firewall_refuses_a_body_above_64_kb_and_none_below(length: int, is_refused: bool) -> None:
    rules: list[dict[str, Any]] = resources("AWS::WAFv2::WebACL")["Firewall"]["Rules"]
    (pattern,) = (rule["Statement"]["RegexMatchStatement"]["RegexString"] for rule in rules if rule["Priority"] == 0)

    assert bool(re.search(pattern, str(length))) is is_refused


def test_names_lead_to_the_nearest_and_to_the_leading_region() -> None:
    records = GLOBAL["Resources"]["Records"]["Properties"]["RecordSets"]
    named: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        named.setdefault(record["Name"]["Fn::Sub"].partition(".")[0], []).append(record)

    assert [record.get("Failover") for record in named["orders"]] == ["PRIMARY", "SECONDARY"]
    assert [record["Region"]["Ref"] for record in named["nearest"]] == ["FirstRegion", "SecondRegion"]
    assert all(record["HealthCheckId"] for record in named["orders"] + named["nearest"])
    assert named["api"][0]["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["Accelerator", "DnsName"]}
    checks = [item for item in GLOBAL["Resources"].values() if item["Type"] == "AWS::Route53::HealthCheck"]
    assert {item["Properties"]["HealthCheckConfig"]["ResourcePath"] for item in checks} == {"/v1/ready"}


def test_a_function_answers_the_health_check_of_its_group() -> None:
    groups = resources("AWS::ElasticLoadBalancingV2::TargetGroup")

    assert {group["HealthCheckPath"] for group in groups.values()} == {"/v1/live"}
    for folder in ("trading", "market_data", "admin"):
        assert '@app.get("/v1/live")' in (ROOT / "functions" / folder / "app.py").read_text()
