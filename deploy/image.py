"""The image of the matching service: built for the stack's processor, pushed, and read back by digest."""

import base64
import subprocess
from collections.abc import Callable, Sequence

from deploy.stack import ROOT, Clients, Missing, output

Run = Callable[[Sequence[str], str], None]
"""Runs a command with what it is told on its standard input; raises when it fails."""


def push(clients: Clients, stack: str, tag: str, run: Run) -> str:
    """Return the pushed image as `repository@sha256:…`, what `MatchingImage` takes; a tag is used once."""
    repository = output(clients, stack, "MatchingRepositoryUri")
    architecture = output(clients, stack, "ImageArchitecture")
    registry, _, name = repository.partition("/")
    run(["docker", "login", "--username", "AWS", "--password-stdin", registry], _password(clients))
    run(build_command(f"{repository}:{tag}", architecture), "")
    ecr = clients("ecr")
    found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"]
    if not found:
        raise Missing(f"{repository}:{tag} was pushed and is not there")
    return f"{repository}@{found[0]['imageDigest']}"


def build_command(image: str, architecture: str) -> list[str]:
    """Return what builds and pushes the image, without the provenance that would hide its digest behind an index."""
    platform = ["--platform", f"linux/{architecture}", "--provenance=false"]
    return ["docker", "buildx", "build", *platform, "-f", "matching_service/Dockerfile", "-t", image, "--push", "."]


def _password(clients: Clients) -> str:
    token = clients("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


def commit() -> str:
    """Return the tag of the checkout as it is: the short commit, which a changed tree does not have."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607 - the git of the PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if described.endswith("-dirty"):
        raise Missing("the checkout holds changes that are in no commit: commit them, or give TAG=")
    return described


def run(command: Sequence[str], text: str) -> None:
    """Run a command at the top of the checkout, its output seen; raise when it fails."""
    subprocess.run(command, cwd=ROOT, check=True, input=text, text=True)  # noqa: S603 - built here
