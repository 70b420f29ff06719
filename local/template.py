"""Turns template.yaml into what the local edge runs: rules, targets, functions, event sources; it starts nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import cloudformation
from local.cloudformation import Intrinsic, Stack, TemplateError

CONDITION_FIELDS = {
    "path-pattern": "PathPatternConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "host-header": "HostHeaderConfig",
}


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request to a target group."""

    target_group: str


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """Answer from the load balancer itself."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the client elsewhere; `location` holds `#{host}`-like words."""

    status: int
    location: str


Action = Forward | FixedResponse | Redirect


@dataclass(frozen=True, slots=True)
class Rule:
    """One listener rule: every condition that is not empty must match."""

    priority: int
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    hosts: tuple[str, ...]
    action: Action


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A target group of type lambda."""

    arn: str
    function: str
    multi_value_headers: bool


@dataclass(frozen=True, slots=True)
class KinesisSource:
    """An event source mapping of a stream to a function, with AWS's defaults; -1 means no bound."""

    name: str
    function: str
    stream: str
    batch_size: int = 100
    window_seconds: float = 0.0
    starting_position: str = "TRIM_HORIZON"
    bisect: bool = False
    report_failures: bool = False
    maximum_attempts: int = -1
    maximum_age_seconds: int = -1
    parallelization: int = 1
    on_failure: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function as the template declares it."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str | Intrinsic]
    memory_mb: int
    timeout_seconds: int
    reserved: int | None
    runtime: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """All that the local run takes from the template."""

    rules: tuple[Rule, ...]
    default: Action
    target_groups: Mapping[str, TargetGroup]
    functions: Mapping[str, Function]
    sources: tuple[KinesisSource, ...]
    streams: Mapping[str, int] = field(default_factory=dict)  # logical id -> shards
    buckets: tuple[str, ...] = ()


def read(path: Path, parameters: Mapping[str, str] | None = None) -> Wiring:
    """Read the template at `path`; raise `TemplateError` on anything that the local run could not follow."""
    stack = cloudformation.load(path, parameters)
    functions = _functions(stack, path.parent)
    rules, default = _listener(stack)
    return Wiring(
        rules=rules,
        default=default,
        target_groups=_target_groups(stack, functions),
        functions=functions,
        sources=tuple(_sources(stack)),
        streams={
            name: int(properties.get("ShardCount", 1))
            for name, properties in stack.of_type("AWS::Kinesis::Stream").items()
        },
        buckets=tuple(stack.of_type("AWS::S3::Bucket")),
    )


def _functions(stack: Stack, root: Path) -> dict[str, Function]:
    layers = {
        name: root / properties["ContentUri"]
        for name, properties in stack.of_type("AWS::Serverless::LayerVersion").items()
    }
    shared = stack.resolve(stack.globals.get("Function", {}))
    functions = {}
    for name, own in stack.of_type("AWS::Serverless::Function").items():
        merged = {**shared, **own}
        references = [*shared.get("Layers", []), *own.get("Layers", [])]
        reserved = merged.get("ReservedConcurrentExecutions")
        functions[name] = Function(
            name=name,
            handler=merged["Handler"],
            code=(root / merged["CodeUri"]).resolve(),
            layers=tuple(layers[item.logical_id].resolve() for item in references if item.logical_id in layers),
            environment=_variables(shared) | _variables(own),
            memory_mb=int(merged.get("MemorySize", 128)),
            timeout_seconds=int(merged.get("Timeout", 3)),
            reserved=None if reserved is None or isinstance(reserved, Intrinsic) else int(reserved),
            runtime=str(merged.get("Runtime", "python3.13")),
        )
    return functions


def _variables(properties: Mapping[str, Any]) -> dict[str, str | Intrinsic]:
    variables = properties.get("Environment", {}).get("Variables", {})
    return {name: value if isinstance(value, Intrinsic) else _text(value) for name, value in variables.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listener(stack: Stack) -> tuple[tuple[Rule, ...], Action]:
    rules = stack.of_type("AWS::ElasticLoadBalancingV2::ListenerRule")
    listeners = stack.of_type("AWS::ElasticLoadBalancingV2::Listener")
    used = {_logical_id(rule["ListenerArn"], name) for name, rule in rules.items()} or set(listeners)
    if len(used) != 1:
        raise TemplateError(f"the active rules must belong to one listener, not to {sorted(used) or 'none'}")
    (listener,) = used
    if listener not in listeners:
        raise TemplateError(f"the listener {listener} is not in the template, or its condition does not hold")
    ordered = sorted((_rule(name, rule) for name, rule in rules.items()), key=lambda rule: rule.priority)
    return tuple(ordered), _action(listener, listeners[listener]["DefaultActions"])


def _rule(name: str, properties: Mapping[str, Any]) -> Rule:
    values: dict[str, tuple[str, ...]] = {}
    for condition in properties["Conditions"]:
        kind = condition["Field"]
        if kind not in CONDITION_FIELDS:
            raise TemplateError(f"{name}: conditions on {kind} are not known to the local run")
        nested = condition.get(CONDITION_FIELDS[kind], {})
        values[kind] = tuple(str(value) for value in nested.get("Values", condition.get("Values", ())))
    return Rule(
        priority=int(properties["Priority"]),
        paths=values.get("path-pattern", ()),
        methods=values.get("http-request-method", ()),
        hosts=values.get("host-header", ()),
        action=_action(name, properties["Actions"]),
    )


def _action(place: str, actions: list[Mapping[str, Any]]) -> Action:
    if len(actions) != 1:
        raise TemplateError(f"{place}: the local run follows one action a rule, not {len(actions)}")
    (action,) = actions
    kind = action["Type"]
    if kind == "forward":
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        if len(groups) > 1:
            raise TemplateError(f"{place}: weighted target groups are not known to the local run")
        return Forward(_logical_id(groups[0]["TargetGroupArn"] if groups else action["TargetGroupArn"], place))
    if kind == "fixed-response":
        fixed = action["FixedResponseConfig"]
        return FixedResponse(
            int(fixed["StatusCode"]), fixed.get("ContentType", "text/plain"), fixed.get("MessageBody", "")
        )
    if kind == "redirect":
        target = {"Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/#{path}"}
        target |= {"Query": "#{query}"} | action["RedirectConfig"]
        location = "{Protocol}://{Host}:{Port}{Path}?{Query}".format_map(target)
        return Redirect(int(target["StatusCode"].removeprefix("HTTP_")), location)
    raise TemplateError(f"{place}: the action {kind} is not known to the local run")


def _target_groups(stack: Stack, functions: Mapping[str, Function]) -> dict[str, TargetGroup]:
    groups = {}
    for name, properties in stack.of_type("AWS::ElasticLoadBalancingV2::TargetGroup").items():
        if properties.get("TargetType") != "lambda":
            continue
        targets = properties.get("Targets", [])
        if len(targets) != 1:
            raise TemplateError(f"{name}: a target group of type lambda has one target, not {len(targets)}")
        attributes = {item["Key"]: _text(item["Value"]) for item in properties.get("TargetGroupAttributes", [])}
        groups[name] = TargetGroup(
            arn=f"arn:aws:elasticloadbalancing:{cloudformation.REGION}:{cloudformation.ACCOUNT}"
            f":targetgroup/{name}/{name.encode().hex()[:16]:0<16}",
            function=_function_name(targets[0]["Id"], functions, name),
            multi_value_headers=attributes.get("lambda.multi_value_headers.enabled") == "true",
        )
    return groups


def _function_name(target: Any, functions: Mapping[str, Function], place: str) -> str:
    head = _logical_id(target, place).split(".")[0]
    for name in functions:  # an alias that SAM makes is called FunctionAliaslive, or referred to as Function.Alias
        if head == name or head.startswith(f"{name}Alias"):
            return name
    raise TemplateError(f"{place}: its target {head} is no function of the template")


def _sources(stack: Stack) -> Iterator[KinesisSource]:
    consumers = {
        name: _logical_id(properties["StreamARN"], name)
        for name, properties in stack.of_type("AWS::Kinesis::StreamConsumer").items()
    }
    for function, properties in stack.of_type("AWS::Serverless::Function").items():
        for name, event in properties.get("Events", {}).items():
            if event["Type"] == "Kinesis":
                yield _source(f"{function}{name}", function, event["Properties"], consumers)


def _source(name: str, function: str, properties: Mapping[str, Any], consumers: Mapping[str, str]) -> KinesisSource:
    """Return one event source; one with enhanced fan-out reads, here, the stream of its consumer."""
    known = {"Stream", "BatchSize", "MaximumBatchingWindowInSeconds", "StartingPosition", "BisectBatchOnFunctionError"}
    known |= {"FunctionResponseTypes", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "ParallelizationFactor"}
    known |= {"DestinationConfig", "Enabled"}
    if unknown := set(properties) - known:
        raise TemplateError(f"{name}: the local run does not know {', '.join(sorted(unknown))}")
    destination = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    return KinesisSource(
        name=name,
        function=function,
        stream=consumers.get(source := _logical_id(properties["Stream"], name), source),
        batch_size=int(properties.get("BatchSize", 100)),
        window_seconds=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
        starting_position=properties["StartingPosition"],
        bisect=bool(properties.get("BisectBatchOnFunctionError", False)),
        report_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        maximum_attempts=int(properties.get("MaximumRetryAttempts", -1)),
        maximum_age_seconds=int(properties.get("MaximumRecordAgeInSeconds", -1)),
        parallelization=int(properties.get("ParallelizationFactor", 1)),
        on_failure=_logical_id(destination, name) if destination else "",
    )


def _logical_id(value: Any, place: str) -> str:
    if isinstance(value, Intrinsic) and value.logical_id:
        return value.logical_id
    raise TemplateError(f"{place}: {value!r} is no reference to a resource of the template")
