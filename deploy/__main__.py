"""The command line of the way to AWS: each word is one step of docs/operations.md, and deploys nothing by itself."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy import bootstrap, cost, destroy, image, picture, preflight, stack, two_regions
from deploy.stack import Clients, Missing

DEFAULT_TASKS = "2"
"""What template.yaml says where a profile says nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Run one step and return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        for line in _lines(given):
            print(line, flush=True)  # noqa: T201 - what the command is for
    except (Missing, BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        print(f"deploy: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    parser.add_argument("--profile", default="default", help="the profile of samconfig.toml")
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("preflight", help="look whether the account is ready, and make what is missing and free")
    pushing = words.add_parser("image", help="build and push the image; prints it by digest, and nothing else")
    pushing.add_argument("--tag", default="", help="the tag, used once (the commit)")
    words.add_parser("bootstrap", help="run the bootstrap task and wait for it")
    counting = words.add_parser("tasks", help="print the parameter that says how many tasks the profile runs")
    counting.add_argument("--before-bootstrap", action="store_true", help="none, where no image was deployed before")
    words.add_parser("destroy", help="delete a small stack with all that it would leave")
    words.add_parser("cost", help="write docs/cost.md from deploy/prices.json")
    words.add_parser("picture", help="draw the picture of docs/architecture.md from template.yaml")
    two = words.add_parser("two-regions", help="deploy two regions and what they share")
    two.add_argument("--dry-run", action="store_true", help="print the order only")
    two.add_argument("--second", default="eu-west-1")
    for name in ("domain", "first-certificate", "second-certificate", "image", "second-image"):
        two.add_argument(f"--{name}", default="")
    return parser


def _lines(given: argparse.Namespace) -> Iterator[str]:
    target = stack.target(given.profile)
    clients = clients_of(target.region)
    if given.word == "preflight":
        yield from preflight.run(clients, target, stack.SAMCONFIG, preflight.address_of_this_machine)
    elif given.word == "image":
        yield image.push(clients, target.stack, given.tag or image.commit(), image.run)
    elif given.word == "tasks":
        yield tasks_of(clients, target, given.before_bootstrap)
    elif given.word == "bootstrap":
        yield from bootstrap.run(clients, target.stack, time.sleep)
    elif given.word == "destroy":
        yield from destroy.run(clients, target.stack)
    elif given.word == "cost":
        yield _written(stack.ROOT / "docs" / "cost.md", cost.page())
    elif given.word == "picture":
        page = stack.ROOT / "docs" / "architecture.md"
        yield _written(page, picture.into(page.read_text(encoding="utf-8")))
    else:
        yield from _two_regions(given, target)


def tasks_of(clients: Clients, target: stack.Target, before_bootstrap: bool) -> str:
    """Return the parameter; no task is healthy before there is a schema, so the first deploy of an image has none."""
    if not before_bootstrap:
        return f"MatchingTasks={target.parameters.get('MatchingTasks', DEFAULT_TASKS)}"
    return "" if stack.has_image(clients, target.stack) else "MatchingTasks=0"


def _two_regions(given: argparse.Namespace, target: stack.Target) -> Iterator[str]:
    place = two_regions.Place(
        target.stack,
        target.region,
        given.second,
        given.domain,
        given.first_certificate,
        given.second_certificate,
        given.image,
        given.second_image,
    )
    steps = two_regions.plan(place)
    if given.dry_run:
        yield from two_regions.dry(steps)
    else:
        yield from two_regions.carry_out(steps, lambda step: stack.outputs(clients_of(step.region), step.stack))


def clients_of(region: str) -> Clients:
    """Return what makes boto3 clients of one region."""

    def client(service: str) -> object:
        return boto3.client(service, region_name=region)  # type: ignore[call-overload]

    return client


def _written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return f"{path.name} is written"


if __name__ == "__main__":
    sys.exit(main())
