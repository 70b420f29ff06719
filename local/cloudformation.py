"""Reads CloudFormation YAML and its intrinsic functions; it never guesses what only AWS knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REGION = "us-east-1"
ACCOUNT = "000000000000"
PSEUDO_PARAMETERS = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "exchange",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/exchange/local",
}


class TemplateError(ValueError):
    """The template says something that the local run cannot follow; the message names the place."""


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A value that AWS decides at deployment: its expression, and the resource it points at, if it is one."""

    text: str
    logical_id: str = ""


_DROP = object()  # AWS::NoValue


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's short tags turned into the long form."""


def _construct(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct)


class Stack:
    """The resources of one template, with parameters at their defaults (or as given) and conditions decided."""

    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._parameters = {
            name: parameters.get(name, declared.get("Default"))
            for name, declared in document.get("Parameters", {}).items()
        }
        self._conditions = document.get("Conditions", {})
        self._mappings = document.get("Mappings", {})
        self.globals: Mapping[str, Any] = document.get("Globals", {})
        self.resources: dict[str, Mapping[str, Any]] = {
            name: resource
            for name, resource in document["Resources"].items()
            if "Condition" not in resource or self._holds({"Condition": resource["Condition"]})
        }

    def of_type(self, *kinds: str) -> dict[str, dict[str, Any]]:
        """Return the resolved properties of every active resource of these types, by logical id."""
        return {
            name: self.resolve(resource.get("Properties", {}))
            for name, resource in self.resources.items()
            if resource["Type"] in kinds
        }

    def resolve(self, value: Any) -> Any:
        """Evaluate what can be known here; leave the rest as `Intrinsic`."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref":
                    return self._ref(argument)
                if name.startswith("Fn::"):
                    return self._function(name, argument)
            resolved = {key: self.resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not _DROP}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _DROP]
        if isinstance(value, str) and "{{resolve:" in value:
            return Intrinsic(value)
        return value

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _DROP
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self._parameters:
            default = self._parameters[name]
            return Intrinsic(f"!Ref {name}") if default is None else default
        return Intrinsic(f"!Ref {name}", name)

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self._holds({"Condition": condition}) else no)
        if name == "Fn::GetAtt":
            logical_id, attribute = argument
            return Intrinsic(f"!GetAtt {logical_id}.{attribute}", logical_id)
        pure: dict[str, Callable[[Any], Any]] = {
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::FindInMap": self._find_in_map,
        }
        return pure[name](argument) if name in pure else Intrinsic(f"{name}: {argument}")

    def _sub(self, argument: Any) -> Any:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        parts = text.replace("${!", "\0").split("${")
        words: list[Any] = [parts[0]]
        for part in parts[1:]:
            name, _, rest = part.partition("}")
            value = self.resolve(given[name]) if name in given else self._ref(name.split(".", 1)[0])
            words += [value, rest]
        joined = self._concatenate(f"!Sub {text}", "", words)
        return joined.replace("\0", "${") if isinstance(joined, str) else joined

    def _join(self, argument: Any) -> Any:
        separator, items = argument
        return self._concatenate(f"!Join {argument}", separator, self.resolve(items))

    def _find_in_map(self, argument: Any) -> Any:
        name, *keys = self.resolve(argument)
        value = self._mappings[name]
        for key in keys:
            value = value[key]
        return self.resolve(value)

    def _concatenate(self, text: str, separator: str, items: Any) -> Any:
        if not isinstance(items, list) or any(isinstance(item, Intrinsic) for item in items):
            return Intrinsic(text)
        return separator.join(map(str, items))

    def _holds(self, expression: Any) -> bool:
        ((name, argument),) = expression.items()
        if name == "Condition":
            return self._holds(self._conditions[argument])
        if name == "Fn::Equals":
            left, right = (self.resolve(item) for item in argument)
            return bool(str(left) == str(right))
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(item) for item in argument)
        if name == "Fn::Or":
            return any(self._holds(item) for item in argument)
        raise TemplateError(f"the condition {name} is not known to the local run")


def load(path: Path, parameters: Mapping[str, str] | None = None) -> Stack:
    """Read the template at `path`; raise `TemplateError` when it is no readable YAML."""
    return Stack(document(path), parameters or {})


def document(path: Path) -> dict[str, Any]:
    """Return the template at `path` as it stands, short tags in their long form; raise `TemplateError` likewise."""
    try:
        read: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise TemplateError(f"{path} is not readable: {error}") from error
    return read
