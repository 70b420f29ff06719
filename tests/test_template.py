"""What template.yaml must keep: sections, settings, routes, event sources, encryption, state."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

import pytest

from exchange import settings
from local import cloudformation
from tests.templates import ROOT, TEMPLATE, raw, resources, target, text_of, wiring

SECTIONS = [
    "Parameters", "Globals", "Network", "Edge", "Functions", "Matching service", "Streams", "Stores", "Search",
    "Observability", "Outputs",
]  # fmt: skip

FUNCTIONS = {
    "TradingFunction": settings.Edge,
    "MarketDataFunction": settings.Edge,
    "AdminFunction": settings.Edge,
    "ArchiverFunction": settings.Consumer,
    "IndexerFunction": settings.Consumer,
}
TASKS = {"MatchingTask": settings.Service, "BootstrapTask": settings.Bootstrap}
"""Each function and each task with the kind of settings that it loads."""

ALSO_NEEDED = {
    "TradingFunction": {"DATABASE_PASSWORD"},
    "MarketDataFunction": {"DATABASE_PASSWORD", "SEARCH_URL"},
    "AdminFunction": {"DATABASE_PASSWORD", "SEARCH_URL"},
    "ArchiverFunction": {"ARCHIVE_BUCKET"},
    "IndexerFunction": {"SEARCH_URL"},
    "MatchingTask": {"DATABASE_PASSWORD", "HOME_REGION", "GATEWAY_HOST"},
    "BootstrapTask": {
        "OWNER_DATABASE_PASSWORD",
        "DATABASE_PASSWORD",
        "FUNCTIONS_DATABASE_PASSWORD",
        "SEARCH_URL",
        "SEARCH_WRITERS",
        "SEARCH_READERS",
        "CREDENTIALS_SECRET",
        "HOME_REGION",
    },
}
"""Variables that have a default for the tests of one machine but must be given on AWS."""

SECRETS = {"DATABASE_PASSWORD", "REDIS_URL", "GATEWAY_SECRET", "KEY_ENCRYPTION_KEY"}

ROUTES = {
    "TradingFunction": [
        "POST /v1/orders", "POST /v1/orders/test", "POST /v1/orders/batch", "POST /v1/orders/oco", "GET /v1/orders",
        "GET /v1/orders/1-abc", "GET /v1/orders/by-client-id/mine", "PATCH /v1/orders/1-abc", "DELETE /v1/orders/1-abc",
        "DELETE /v1/orders", "POST /v1/orders/cancel-all-after", "GET /v1/fills", "GET /v1/ledger", "GET /v1/balances",
        "GET /v1/account", "GET /", "GET /v1", "GET /v1/marketsx", "GET /v2/time", "GET /v1/administrator",
    ],
    "MarketDataFunction": [
        "GET /v1/time", "GET /v1/live", "GET /v1/ready", "GET /v1/health", "GET /v1/assets", "GET /v1/markets",
        "GET /v1/markets/BTC-USD", "GET /v1/markets/BTC-USD/ticker", "GET /v1/markets/BTC-USD/book",
        "GET /v1/markets/BTC-USD/trades", "GET /v1/markets/BTC-USD/candles", "POST /v1/markets",
    ],
    "AdminFunction": [
        "POST /v1/admin/assets", "POST /v1/admin/accounts", "PATCH /v1/admin/accounts/alice",
        "POST /v1/admin/accounts/alice/deposits", "POST /v1/admin/accounts/alice/withdrawals",
        "POST /v1/admin/accounts/alice/api-keys", "DELETE /v1/admin/api-keys/key", "POST /v1/admin/markets",
        "PATCH /v1/admin/markets/BTC-USD", "POST /v1/admin/halt", "POST /v1/admin/resume",
        "POST /v1/admin/accounts/alice/cancel-all", "GET /v1/admin/search/orders", "GET /v1/admin/search/trades",
        "GET /v1/admin/search/events", "GET /v1/admin/reports/volume", "GET /v1/admin/alerts",
    ],
}  # fmt: skip
"""Every call of the HTTP contract, and some paths that are none, with the function that answers it."""

EVENT_SOURCE = {
    "StartingPosition": "TRIM_HORIZON",
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "BisectBatchOnFunctionError": True,
}
BOUNDED = {
    "BatchSize": (1, 1000),
    "MaximumBatchingWindowInSeconds": (0, 2),
    "ParallelizationFactor": (1, 10),
    "MaximumRetryAttempts": (1, 100),
    "MaximumRecordAgeInSeconds": (3600, 604800),
}

MUST_OUTLIVE = {
    "DatabaseCluster",
    "DataKey",
    "DataKeyReplica",
    "ArchiveBucket",
    "DeadLetterBucket",
    "KeyEncryptionKey",
    "OrdersStream",
}
HOLDS_STATE = {
    "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::Kinesis::Stream", "AWS::KMS::Key",
    "AWS::KMS::ReplicaKey", "AWS::ElastiCache::ReplicationGroup", "AWS::OpenSearchService::Domain",
}  # fmt: skip

ENCRYPTED_BY = {
    "AWS::RDS::DBCluster": "KmsKeyId",
    "AWS::ElastiCache::ReplicationGroup": "KmsKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::Kinesis::Stream": "StreamEncryption",
    "AWS::S3::Bucket": "BucketEncryption",
    "AWS::OpenSearchService::Domain": "EncryptionAtRestOptions",
    "AWS::ECR::Repository": "EncryptionConfiguration",
    "AWS::SNS::Topic": "KmsMasterKeyId",
}

WITH_CERTIFICATE = {"CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/x"}
WITH_IMAGE = {"MatchingImage": "example/matching@sha256:0"}


# ── The file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_sections_stand_in_the_order_of_an_orders_path_each_with_one_sentence() -> None:
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    banners = {match[1]: place for place, line in enumerate(lines) if (match := re.match(r" *# ── (.+?) ─+$", line))}

    assert list(banners) == SECTIONS
    assert [name for name, place in banners.items() if not re.match(r" *# [A-Z].+[.;]", lines[place + 1])] == []


def test_every_parameter_is_described_and_bounded_and_only_the_addresses_have_no_default() -> None:
    parameters = raw()["Parameters"]

    assert [name for name, item in parameters.items() if "Default" not in item] == ["AllowedCidr"]
    assert [name for name, item in parameters.items() if not item["Description"].endswith(".")] == []
    bounds = {"AllowedValues", "AllowedPattern", "MinValue"}
    assert [name for name, item in parameters.items() if not bounds & set(item)] == []


def test_there_is_one_version_of_python() -> None:
    version = raw()["Globals"]["Function"]["Runtime"].removeprefix("python")
    layer = resources("AWS::Serverless::LayerVersion")["ExchangeLayer"]

    assert layer["CompatibleRuntimes"] == [f"python{version}"]
    assert f"python{version} -m pip" in (ROOT / "layers/exchange/Makefile").read_text()
    assert f"--python-version {version} " in (ROOT / "layers/exchange/Makefile").read_text()
    assert f"/python:{version}-slim" in (ROOT / "matching_service/Dockerfile").read_text()


# ── Functions and their settings ─────────────────────────────────────────────────────────────────────────────────────


def test_the_functions_are_those_of_the_house() -> None:
    folders = {name: function.code.name for name, function in wiring().functions.items()}

    assert folders == {
        "TradingFunction": "trading",
        "MarketDataFunction": "market_data",
        "AdminFunction": "admin",
        "ArchiverFunction": "archiver",
        "IndexerFunction": "indexer",
    }
    assert {function.handler for function in wiring().functions.values()} == {"app.handler"}
    assert {function.layers for function in wiring().functions.values()} == {(ROOT / "layers" / "exchange",)}


@pytest.mark.parametrize(("name", "kind"), FUNCTIONS.items())
def test_a_function_is_given_every_variable_that_it_needs_and_none_that_settings_does_not_know(
    name: str, kind: type[object]
) -> None:
    given = set(wiring().functions[name].environment)

    assert unknown_and_missing(given, kind, ALSO_NEEDED[name]) == (set(), set())


@pytest.mark.parametrize(("name", "kind"), TASKS.items())
def test_a_task_is_given_every_variable_that_it_needs_and_none_that_settings_does_not_know(
    name: str, kind: type[object]
) -> None:
    given = {item["Name"] for item in container(name)["Environment"] + container(name)["Secrets"]}

    assert unknown_and_missing(given - {"AWS_DEFAULT_REGION"}, kind, ALSO_NEEDED[name]) == (set(), set())


def unknown_and_missing(given: set[str], kind: type[Any], also_needed: set[str]) -> tuple[set[str], set[str]]:
    known = {field.name.upper() for field in fields(kind)}
    required = {field.name.upper() for field in fields(kind) if field.default is MISSING}
    return given - known, (required | also_needed) - given


def test_a_missing_and_an_unknown_variable_are_found() -> None:
    found = unknown_and_missing({"SEARCH_URL", "LOG_LEVEL", "SEARCH_HOST"}, settings.Consumer, {"ARCHIVE_BUCKET"})

    assert found == ({"SEARCH_HOST"}, {"ARCHIVE_BUCKET"})


def test_a_secret_never_stands_in_the_template() -> None:
    for function in wiring().functions.values():
        for name in SECRETS & set(function.environment):
            assert "{{resolve:secretsmanager:" in str(function.environment[name])
    assert {item["Name"] for item in container("MatchingTask")["Secrets"]} == SECRETS
    passwords = {"OWNER_DATABASE_PASSWORD", "FUNCTIONS_DATABASE_PASSWORD"}
    assert {item["Name"] for item in container("BootstrapTask")["Secrets"]} == SECRETS | passwords
    for secret in resources("AWS::SecretsManager::Secret").values():
        assert "GenerateSecretString" in secret or "{{resolve:secretsmanager:" in text_of(secret["SecretString"])


def test_the_literal_limits_are_those_that_the_contract_names() -> None:
    environment = wiring().functions["TradingFunction"].environment

    limits = ["MUTATIONS_PER_SECOND", "MUTATIONS_BURST", "CANCELS_PER_SECOND", "READS_PER_SECOND", "PUBLIC_PER_SECOND"]
    assert [environment[name] for name in limits] == ["1000", "2000", "100", "2000", "500"]


# ── Routes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("function", "call"), [(name, call) for name, calls in ROUTES.items() for call in calls])
def test_a_call_reaches_its_function(function: str, call: str) -> None:
    method, path = call.split()

    assert target(method, path) == function


def test_a_rule_has_no_more_values_than_a_load_balancer_takes() -> None:
    assert [rule.paths for rule in wiring().rules if len(rule.paths + rule.methods + rule.hosts) > 5] == []


def test_target_groups_hand_over_multi_value_headers() -> None:
    assert {name: group.multi_value_headers for name, group in wiring().target_groups.items()} == {
        "TradingTargetGroup": True,
        "MarketDataTargetGroup": True,
        "AdminTargetGroup": True,
    }


def test_a_permission_names_its_group_by_a_fixed_name_and_the_group_waits_for_it() -> None:
    groups = resources("AWS::ElasticLoadBalancingV2::TargetGroup")
    permissions = resources("AWS::Lambda::Permission")
    assert len(permissions) == len(groups) == 3

    for name, group in groups.items():
        permission = name.replace("TargetGroup", "Permission")
        assert raw()["Resources"][name]["DependsOn"] == permission
        source = permissions[permission]["SourceArn"]["Fn::Sub"]
        assert source.endswith(f":targetgroup/{group['Name']['Fn::Sub']}/*")
        assert permissions[permission]["FunctionName"] == group["Targets"][0]["Id"]


def test_https_has_a_tls_1_3_policy_and_http_only_redirects_to_it() -> None:
    stack = cloudformation.load(TEMPLATE, WITH_CERTIFICATE)
    listeners = stack.of_type("AWS::ElasticLoadBalancingV2::Listener")

    assert listeners["HttpsListener"]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-")
    assert [action["Type"] for action in listeners["HttpListener"]["DefaultActions"]] == ["redirect"]
    assert listeners["HttpListener"]["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"
    rules = stack.of_type("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    assert {rule["ListenerArn"].logical_id for rule in rules} == {"HttpsListener"}


def test_without_a_certificate_http_serves_and_only_the_allowed_addresses_reach_it() -> None:
    listeners = cloudformation.load(TEMPLATE).of_type("AWS::ElasticLoadBalancingV2::Listener")
    ingress = resources("AWS::EC2::SecurityGroup")["BalancerSecurityGroup"]["SecurityGroupIngress"]

    assert list(listeners) == ["HttpListener"]
    assert [rule["CidrIp"] for rule in ingress] == [{"Ref": "AllowedCidr"}] * 2
    assertion = raw()["Rules"]["NoPlainHttpForTheWorld"]["Assertions"][0]["Assert"]
    assert assertion == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AllowedCidr"}, "0.0.0.0/0"]}]}


def test_only_the_balancer_may_be_reached_by_address() -> None:
    by_address = {
        name
        for name, group in resources("AWS::EC2::SecurityGroup").items()
        for rule in group.get("SecurityGroupIngress", [])
        if "SourceSecurityGroupId" not in rule
    }

    assert by_address == {"BalancerSecurityGroup"}
    instances = resources("AWS::RDS::DBInstance").values()
    assert [instance["PubliclyAccessible"] for instance in instances] == [False, False, False]


# ── Event sources ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_event_source_reports_single_failures_bisects_is_bounded_and_keeps_what_it_gave_up() -> None:
    sources = [
        event["Properties"]
        for function in resources("AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
    ]

    assert len(sources) == 2
    assert [problem for source in sources for problem in source_problems(source)] == []


def source_problems(source: dict[str, Any]) -> Iterator[str]:
    for name, expected in EVENT_SOURCE.items():
        if source.get(name) != expected:
            yield f"{name} is {source.get(name)}"
    for name, (least, most) in BOUNDED.items():
        if not least <= source.get(name, -1) <= most:
            yield f"{name} is {source.get(name)}"
    if source.get("DestinationConfig", {}).get("OnFailure", {}).get("Type") != "S3":
        yield "what is given up on is not kept whole"


def test_an_event_source_without_its_settings_is_found() -> None:
    careless = {"StartingPosition": "LATEST", "MaximumRetryAttempts": -1}

    assert len(list(source_problems(careless))) == 9


# ── State ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_holds_state_says_what_becomes_of_it_and_the_truth_outlives_the_stack() -> None:
    said = {
        name: (item.get("DeletionPolicy"), item.get("UpdateReplacePolicy"))
        for name, item in raw()["Resources"].items()
        if item["Type"] in HOLDS_STATE or name in MUST_OUTLIVE
    }

    assert [name for name, policies in said.items() if None in policies] == []
    kept = {name for name, policies in said.items() if set(policies) <= {"Retain", "Snapshot"}}
    assert kept == MUST_OUTLIVE


def test_everything_that_keeps_something_is_encrypted_with_the_key_of_the_stack() -> None:
    with_a_key_of_s3 = {"BalancerLogsBucket"}  # the balancer writes with no other
    bare = {
        name
        for kind, setting in ENCRYPTED_BY.items()
        for name, properties in resources(kind).items()
        if '["DataKey", "Arn"]' not in text_of(properties.get(setting))
    }

    assert bare == with_a_key_of_s3


def test_transport_is_encrypted_inside_as_well() -> None:
    assert resources("AWS::RDS::DBClusterParameterGroup")["DatabaseParameters"]["Parameters"]["rds.force_ssl"] == 1
    assert resources("AWS::RDS::DBProxy")["DatabaseProxy"]["RequireTLS"] is True
    assert resources("AWS::ElastiCache::ReplicationGroup")["Cache"]["TransitEncryptionEnabled"] is True
    assert resources("AWS::OpenSearchService::Domain")["SearchDomain"]["DomainEndpointOptions"]["EnforceHTTPS"] is True
    urls = [text_of(function.get("Environment")) for function in resources("AWS::Serverless::Function").values()]
    assert [url for url in urls if "postgresql://" in url and "sslmode=require" not in url] == []


# ── The matching service ─────────────────────────────────────────────────────────────────────────────────────────────


def container(task: str) -> dict[str, Any]:
    (only,) = resources("AWS::ECS::TaskDefinition")[task]["ContainerDefinitions"]
    return dict(only)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_no_more_rights_on_its_host_than_it_needs(task: str) -> None:
    only = container(task)

    assert only["ReadonlyRootFilesystem"] is True
    assert only["Privileged"] is False
    assert only["User"] == "1000:1000"
    assert only["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


def test_the_matching_service_is_watched_and_given_time_to_end() -> None:
    serving = container("MatchingTask")

    image = (ROOT / "matching_service/Dockerfile").read_text()
    assert serving["HealthCheck"]["Command"] == ["CMD", "python", "-m", "matching_service.health_check"]
    assert f"CMD {json.dumps(serving['HealthCheck']['Command'][1:])}" in image
    assert {"Name": "HEALTH_PORT", "Value": "7001"} in serving["Environment"]
    assert 30 <= serving["StopTimeout"] <= 120


def test_a_first_deploy_needs_no_image() -> None:
    first, later = cloudformation.load(TEMPLATE), cloudformation.load(TEMPLATE, WITH_IMAGE)

    assert first.of_type("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == {}
    assert set(later.of_type("AWS::ECS::Service", "AWS::ECS::TaskDefinition")) == {"MatchingService", *TASKS}
    assert "MatchingRepository" in first.resources


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    lines = (ROOT / "matching_service/Dockerfile").read_text().splitlines()
    words = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]

    assert words[0] == "ARG"
    assert "USER 1000:1000" in lines
    assert "HEALTHCHECK" in words
    assert words[-1] == "ENTRYPOINT"


def test_every_alarm_is_explained_to_operators() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    alarms = resources("AWS::CloudWatch::Alarm")

    assert alarms
    assert [name for name in alarms if f"**{name}**" not in runbook] == []
    parameters_and_secrets = [*raw()["Parameters"], *resources("AWS::SecretsManager::Secret")]
    assert [name for name in parameters_and_secrets if f"`{name}`" not in runbook] == []
