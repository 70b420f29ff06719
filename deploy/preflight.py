"""What must be true of an account before the first deploy: looks, makes what is missing and free, deploys nothing."""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.request import urlopen

from deploy.stack import Clients, Missing, Target

NOBODY = "127.0.0.1/32"
MY_ADDRESS = "https://checkip.amazonaws.com"
LINKED_ROLES = (
    "opensearchservice", "ecs", "rds", "elasticache", "elasticloadbalancing", "ecs.application-autoscaling",
    "lambda.application-autoscaling", "rds.application-autoscaling",
)  # fmt: skip
"""The services that act in an account by a role of their own, which the first use may find missing."""

SPARE_CONCURRENCY = 100
"""What AWS keeps unreserved of the functions' concurrency, whatever is set aside."""
NEEDED_CONCURRENCY = 100
"""500 orders a second of 100 ms each are 50 at once; market data and administration take the rest."""


def run(clients: Clients, target: Target, config: Path, my_address: Callable[[], str]) -> Iterator[str]:
    """Yield a line for each thing looked at; raise `Missing` at the first that only a person can mend."""
    identity = clients("sts").get_caller_identity()
    yield f"account {identity['Account']}, as {identity['Arn']}, region {target.region}"
    yield from _zones(clients, target)
    yield from _linked_roles(clients)
    yield from _quotas(clients, target)
    yield from _allowed(target, config, my_address)


def _zones(clients: Clients, target: Target) -> Iterator[str]:
    zones = clients("ec2").describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])
    count, needed = len(zones["AvailabilityZones"]), 3 if target.parameters.get("Profile") == "production" else 2
    if count < needed:
        raise Missing(f"{target.region} has {count} zones and the profile needs {needed}: choose another region")
    yield f"{count} zones"


def _linked_roles(clients: Clients) -> Iterator[str]:
    iam = clients("iam")
    for service in LINKED_ROLES:
        name = f"{service}.amazonaws.com"
        try:
            iam.create_service_linked_role(AWSServiceName=name)
            yield f"service-linked role of {service}: made"
        except iam.exceptions.InvalidInputException:
            yield f"service-linked role of {service}: there"


def _quotas(clients: Clients, target: Target) -> Iterator[str]:
    limit = clients("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    needed = NEEDED_CONCURRENCY
    if target.parameters.get("Profile") == "production":
        needed = SPARE_CONCURRENCY + int(target.parameters.get("TradingReserved", 200))
    if limit < needed:
        raise Missing(
            f"functions may run {limit} at once and the profile needs {needed}:"
            " ask for more of the quota L-B99A9384 of lambda"
        )
    yield f"functions may run {limit} at once"
    if target.parameters.get("Profile") == "production":
        return
    addresses = len(clients("ec2").describe_addresses()["Addresses"])
    quota = _quota(clients, "ec2", "L-0263D0A3")
    if addresses >= quota:
        raise Missing(f"all {quota} elastic addresses are taken: give one back, or ask for more of L-0263D0A3 of ec2")
    yield f"{addresses} of {quota} elastic addresses taken"


def _quota(clients: Clients, service: str, code: str) -> int:
    quotas = clients("service-quotas")
    try:
        return int(quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
    except quotas.exceptions.NoSuchResourceException:
        return int(quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def _allowed(target: Target, config: Path, my_address: Callable[[], str]) -> Iterator[str]:
    """Open the balancer to this machine's address where nobody is let in yet."""
    if target.parameters.get("AllowedCidr") != NOBODY:
        yield f"AllowedCidr is {target.parameters.get('AllowedCidr')}"
        return
    mine = f"{ip_address(my_address())}/32"
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(rf'"AllowedCidr={re.escape(NOBODY)}"', f'"AllowedCidr={mine}"', text), encoding="utf-8")
    yield f"AllowedCidr in {config.name} is now {mine}, the address of this machine"


def address_of_this_machine() -> str:
    """Ask AWS under which address this machine is seen."""
    with urlopen(MY_ADDRESS, timeout=10) as answer:
        text: str = answer.read().decode().strip()
    return text
