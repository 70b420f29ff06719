"""The order in which two regions and what they share come up: a plan as data, printed or carried out step by step."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from deploy.stack import ROOT, target

Outputs = Mapping[tuple[str, str], str]
"""What steps gave back: (step, output) to its value."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Outputs of earlier steps, joined by commas where they are several."""

    outputs: tuple[tuple[str, str], ...]


Input = str | Taken


@dataclass(frozen=True, slots=True)
class Step:
    """One `sam deploy`: of a template, into a region, with inputs that are words or earlier outputs."""

    name: str
    template: str
    profile: str
    stack: str
    region: str
    inputs: Mapping[str, Input]


@dataclass(frozen=True, slots=True)
class Place:
    """What an operator decides of two regions; a certificate for each covers the names of global.yaml."""

    stack: str
    first: str
    second: str
    domain: str
    first_certificate: str
    second_certificate: str
    image: str = ""
    second_image: str = ""


def plan(place: Place) -> tuple[Step, ...]:
    """Return the steps in their order."""
    stack, both = place.stack, {"FirstRegion": place.first, "SecondRegion": place.second, "Domain": place.domain}
    once: dict[str, Input] = {"Name": stack, **both}
    joined: dict[str, Input] = {"GlobalCluster": Taken((("global", "GlobalClusterName"),))}
    image: dict[str, Input] = {"MatchingImage": place.image} if place.image else {}
    second_image: dict[str, Input] = {"MatchingImage": place.second_image} if place.second_image else {}
    first: dict[str, Input] = {"CertificateArn": place.first_certificate, "ReplicaRegion": place.second}
    second: dict[str, Input] = {
        "CertificateArn": place.second_certificate,
        "PrimaryKeyArn": Taken((("first", "DataKeyArn"),)),
        "FunctionsLoginArn": Taken((("first", "FunctionsLoginReplicaArn"),)),
        "MatchingLoginArn": Taken((("first", "MatchingLoginReplicaArn"),)),
        "KeyEncryptionKeyArn": Taken((("first", "KeyEncryptionKeyReplicaArn"),)),
    }
    given_back: dict[str, Input] = {
        "Endpoints": Taken((("first", "LoadBalancerArn"), ("second", "LoadBalancerArn"))),
        "EndpointNames": Taken((("first", "LoadBalancerDns"), ("second", "LoadBalancerDns"))),
        "EndpointZones": Taken((("first", "LoadBalancerZone"), ("second", "LoadBalancerZone"))),
    }
    shared = (f"{stack}-global", place.first)
    return (
        Step("global", "global.yaml", "production", *shared, once),
        Step("first", "template.yaml", "production", stack, place.first, first | joined | image),
        Step("second", "template.yaml", "production-secondary", stack, place.second, second | joined | second_image),
        Step("records", "global.yaml", "production", *shared, once | given_back),
    )


def command(step: Step, given: Outputs) -> list[str]:
    """Return the command of a step; an output that is not known yet stands in angle brackets.

    What is given on the command line replaces all of samconfig.toml's parameters, so the profile's are given as well.
    """
    inputs = {name: _value(value, given) for name, value in step.inputs.items() if _value(value, given)}
    shared = target(step.profile).parameters if step.template == "template.yaml" else {}
    overrides = [f"{name}={value}" for name, value in (shared | inputs).items()]
    built = [] if step.template == "template.yaml" else ["--template-file", step.template]
    where = ["--stack-name", step.stack, "--region", step.region]
    return ["sam", "deploy", "--config-env", step.profile, *built, *where, "--parameter-overrides", *overrides]


def _value(value: Input, given: Outputs) -> str:
    if isinstance(value, str):
        return value
    return ",".join(given.get(item, f"<{item[0]}.{item[1]}>") for item in value.outputs)


def dry(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield the commands in their order, each with what it takes from an earlier one."""
    for number, step in enumerate(steps, 1):
        yield f"{number}. {step.name}: {' '.join(command(step, {}))}"


def carry_out(steps: tuple[Step, ...], outputs_of: Callable[[Step], Mapping[str, str]]) -> Iterator[str]:
    """Deploy each step in its order, and hand its outputs on."""
    given: dict[tuple[str, str], str] = {}
    for step in steps:
        yield f"{step.name}: deploying {step.template} into {step.region}"
        subprocess.run(command(step, given), cwd=ROOT, check=True)  # noqa: S603 - built here
        given |= {(step.name, name): value for name, value in outputs_of(step).items()}
