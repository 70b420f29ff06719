"""One deployed stack, by its outputs and resources; it changes nothing."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMCONFIG = ROOT / "samconfig.toml"

Clients = Callable[[str], Any]
"""Makes the boto3 client of a service, in the region of the stack."""


class Missing(Exception):  # noqa: N818 - says what is missing and what to do
    """Something that a step needs is not there; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where `sam deploy` of one profile goes."""

    stack: str
    region: str
    parameters: dict[str, str]


def target(profile: str, path: Path = SAMCONFIG) -> Target:
    """Return what samconfig.toml says of a profile, the rest taken from `default`."""
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    if profile not in config:
        raise Missing(f"samconfig.toml has no profile {profile}")
    shared = config["default"]["global"]["parameters"] | config[profile].get("global", {}).get("parameters", {})
    overrides = config[profile]["deploy"]["parameters"].get("parameter_overrides", [])
    return Target(shared["stack_name"], shared["region"], dict(item.split("=", 1) for item in overrides))


def has_image(clients: Clients, stack: str) -> bool:
    """Tell whether a stack was deployed with an image of the matching service before."""
    (found,) = clients("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    given = {item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", [])}
    return bool(given.get("MatchingImage"))


def outputs(clients: Clients, stack: str) -> dict[str, str]:
    """Return the outputs of a stack; raise `Missing` where there is no such stack."""
    cloudformation = clients("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        raise Missing(f"there is no stack {stack}: `sam deploy` makes it ({error})") from error
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def output(clients: Clients, stack: str, name: str) -> str:
    """Return one output; raise `Missing` where the stack has none of that name."""
    found = outputs(clients, stack)
    if name not in found:
        raise Missing(f"the stack {stack} has no output {name} yet")
    return found[name]
