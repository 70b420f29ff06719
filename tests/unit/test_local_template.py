"""What the local run reads out of a CloudFormation template."""

from pathlib import Path

import pytest

from local import template
from local.bindings import Bindings
from local.cloudformation import Intrinsic, TemplateError
from local.routing import Router
from local.template import FixedResponse, Forward, KinesisSource, Redirect

ROOT = Path(__file__).resolve().parents[2]

SMALL = """
Parameters:
  Certificate: {Type: String, Default: ''}
  Stage: {Type: String, Default: test}
Conditions:
  HasCertificate: !Not [!Equals [!Ref Certificate, '']]
Globals:
  Function:
    Runtime: python3.13
    Timeout: 7
    Layers: [!Ref SharedLayer]
    Environment: {Variables: {LOG_LEVEL: INFO, STAGE: !Ref Stage}}
Resources:
  SharedLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/shared}}
  HttpListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties: {DefaultActions: [{Type: forward, TargetGroupArn: !Ref MainGroup}]}
  HttpsListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Condition: HasCertificate
    Properties: {DefaultActions: [{Type: forward, TargetGroupArn: !Ref MainGroup}]}
  OldRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !If [HasCertificate, !Ref HttpsListener, !Ref HttpListener]
      Priority: 20
      Conditions: [{Field: path-pattern, Values: [/old/*]}]
      Actions: [{Type: redirect, RedirectConfig: {Path: /new, StatusCode: HTTP_301}}]
  GoneRule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !If [HasCertificate, !Ref HttpsListener, !Ref HttpListener]
      Priority: 5
      Conditions:
        - {Field: path-pattern, PathPatternConfig: {Values: [/gone, /gone/?]}}
        - {Field: http-request-method, HttpRequestMethodConfig: {Values: [GET]}}
      Actions: [{Type: fixed-response, FixedResponseConfig: {StatusCode: '410', MessageBody: gone}}]
  MainGroup:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      TargetType: lambda
      Targets: [{Id: !Ref MainFunction.Alias}]
      TargetGroupAttributes: [{Key: lambda.multi_value_headers.enabled, Value: 'true'}]
  MainFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/main/
      Handler: app.handler
      MemorySize: 256
      Environment: {Variables: {STAGE: own, BUCKET: !Ref Bucket, URL: !Sub 'https://${Bucket}.${AWS::Region}'}}
      Events:
        Numbers:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Numbers.Arn
            StartingPosition: LATEST
            BatchSize: 10
            MaximumBatchingWindowInSeconds: 2
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 3
            MaximumRecordAgeInSeconds: 60
            ParallelizationFactor: 4
            FunctionResponseTypes: [ReportBatchItemFailures]
            DestinationConfig: {OnFailure: {Type: S3, Destination: !GetAtt Bucket.Arn}}
  Numbers: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 3}}
  Bucket: {Type: AWS::S3::Bucket}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(SMALL)
    return path


def test_rules_come_in_the_order_of_their_priority_with_all_kinds_of_actions(path: Path) -> None:
    wiring = template.read(path)

    assert [(rule.priority, rule.paths, rule.methods) for rule in wiring.rules] == [
        (5, ("/gone", "/gone/?"), ("GET",)),
        (20, ("/old/*",), ()),
    ]
    assert wiring.rules[0].action == FixedResponse(410, "text/plain", "gone")
    assert wiring.rules[1].action == Redirect(301, "#{protocol}://#{host}:#{port}/new?#{query}")
    assert wiring.default == Forward("MainGroup")


def test_conditions_are_decided_by_the_defaults_of_the_parameters_or_by_what_is_given(path: Path) -> None:
    assert template.read(path).default == Forward("MainGroup")
    assert template.read(path, {"Certificate": "arn"}).default == Forward("MainGroup")


def test_a_function_gets_the_globals_merged_with_its_own(path: Path) -> None:
    function = template.read(path).functions["MainFunction"]

    assert (function.handler, function.memory_mb, function.timeout_seconds) == ("app.handler", 256, 7)
    assert function.code == (path.parent / "functions/main").resolve()
    assert function.layers == ((path.parent / "layers/shared").resolve(),)
    assert function.environment == {
        "LOG_LEVEL": "INFO",
        "STAGE": "own",
        "BUCKET": Intrinsic("!Ref Bucket", "Bucket"),
        "URL": Intrinsic("!Sub https://${Bucket}.${AWS::Region}"),
    }


def test_a_variable_without_a_local_value_is_a_clear_error(path: Path) -> None:
    function = template.read(path).functions["MainFunction"]

    with pytest.raises(TemplateError, match=r"MainFunction: the variable URL is !Sub .* and has no local value"):
        Bindings(values={"BUCKET": "archive"}).variables_of(function)

    bound = Bindings(values={"BUCKET": "archive", "URL": "http://x"}, overrides={"LOG_LEVEL": "DEBUG", "NEW": "no"})
    assert bound.variables_of(function) == {
        "LOG_LEVEL": "DEBUG",
        "STAGE": "own",
        "BUCKET": "archive",
        "URL": "http://x",
    }


def test_target_groups_know_their_function_and_their_event_shape(path: Path) -> None:
    (group,) = template.read(path).target_groups.values()

    assert group.function == "MainFunction"
    assert group.multi_value_headers
    assert group.arn.startswith("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/MainGroup/")


def test_every_setting_of_an_event_source_is_read(path: Path) -> None:
    wiring = template.read(path)

    assert wiring.streams == {"Numbers": 3}
    assert wiring.buckets == ("Bucket",)
    assert wiring.sources == (
        KinesisSource(
            name="MainFunctionNumbers",
            function="MainFunction",
            stream="Numbers",
            batch_size=10,
            window_seconds=2.0,
            starting_position="LATEST",
            bisect=True,
            report_failures=True,
            maximum_attempts=3,
            maximum_age_seconds=60,
            parallelization=4,
            on_failure="Bucket",
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Field: http-request-method", "Field: source-ip", "GoneRule: conditions on source-ip are not known"),
        ("Type: redirect", "Type: authenticate-oidc", "OldRule: the action authenticate-oidc is not known"),
        ("BatchSize: 10", "TumblingWindowInSeconds: 1", "MainFunctionNumbers: the local run does not know Tumbling"),
        ("Id: !Ref MainFunction.Alias", "Id: !Ref Bucket", "MainGroup: its target Bucket is no function"),
        ("Parameters:", "Parameters: [", "is not readable"),
    ],
)
def test_what_the_local_run_could_not_follow_is_refused_by_name(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(SMALL.replace(old, new))

    with pytest.raises(TemplateError, match=message):
        template.read(path)


def test_changing_a_listener_rule_in_the_template_changes_the_local_route(tmp_path: Path) -> None:
    text = (ROOT / "template.yaml").read_text()
    changed = tmp_path / "template.yaml"

    def function_of(path: str) -> str:
        wiring = template.read(changed)
        action = Router(wiring.rules, wiring.default).action("GET", path, "localhost")
        assert isinstance(action, Forward)
        return wiring.target_groups[action.target_group].function

    changed.write_text(text)
    assert function_of("/v1/markets/BTC-USD") == "MarketDataFunction"
    assert function_of("/v1/prices/BTC-USD") == "TradingFunction"

    changed.write_text(text.replace("/v1/markets/*", "/v1/prices/*"))
    assert function_of("/v1/markets/BTC-USD") == "TradingFunction"
    assert function_of("/v1/prices/BTC-USD") == "MarketDataFunction"
