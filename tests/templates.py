"""template.yaml as the tests look at it: its raw form, and what a machine without AWS makes of it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from local import template
from local.routing import Router

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"


class LongForm(yaml.SafeLoader):
    """YAML with the short tags of CloudFormation in their long form."""


def long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value.split(".") if tag == "GetAtt" else node.value
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


LongForm.add_multi_constructor("!", long_form)


@cache
def raw() -> dict[str, Any]:
    """Return the whole template."""
    document: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), LongForm)
    return document


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the unresolved properties of every resource of a type, its condition left aside."""
    return {name: item.get("Properties", {}) for name, item in raw()["Resources"].items() if item["Type"] == kind}


@cache
def wiring() -> template.Wiring:
    return template.read(TEMPLATE)


def text_of(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def target(method: str, path: str) -> str:
    action = Router(wiring().rules, wiring().default).action(method, path, "exchange.example")
    assert isinstance(action, template.Forward)
    return wiring().target_groups[action.target_group].function
