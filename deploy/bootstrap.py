"""The one-off Fargate task that makes schema, roles, mappings, seed and first keys; it says how the task ended."""

import re
import shlex
from collections.abc import Callable, Iterator

from deploy.stack import Clients, Missing, output

POLLS = 120
POLL_S = 5.0


def run(clients: Clients, stack: str, pause: Callable[[float], None]) -> Iterator[str]:
    """Run the task of the Output `BootstrapCommand` and wait for it; raise `Missing` with its reason when it fails."""
    options = options_of(output(clients, stack, "BootstrapCommand"))
    ecs, cluster = clients("ecs"), options["cluster"]
    answer = ecs.run_task(
        cluster=cluster,
        taskDefinition=options["task-definition"],
        launchType=options["launch-type"],
        networkConfiguration={"awsvpcConfiguration": network_of(options["network-configuration"])},
    )
    if not answer["tasks"]:
        raise Missing(f"the task did not start: {answer['failures']}")
    arn = answer["tasks"][0]["taskArn"]
    yield f"started {arn}"
    for _ in range(POLLS):
        (task,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if task["lastStatus"] == "STOPPED":
            break
        pause(POLL_S)
    else:
        raise Missing(
            f"the task still runs after {POLLS * POLL_S:.0f} s: look into the log group of the matching service"
        )
    code = task["containers"][0].get("exitCode")
    if code != 0:
        raise Missing(f"the task ended with {code}: {task.get('stoppedReason', 'no reason given')}; its log says more")
    secret = output(clients, stack, "CredentialsArn")
    yield "schema, roles, mappings, seed and keys are there"
    yield f"the keys: aws secretsmanager get-secret-value --query SecretString --output text --secret-id {secret}"


def options_of(command: str) -> dict[str, str]:
    """Return the options of a command line by name."""
    words = shlex.split(command)
    return {word.removeprefix("--"): words[place + 1] for place, word in enumerate(words) if word.startswith("--")}


def network_of(text: str) -> dict[str, object]:
    """Return `awsvpcConfiguration={subnets=[…],securityGroups=[…],assignPublicIp=…}` as the API takes it."""
    lists = {name: values.split(",") for name, values in re.findall(r"(\w+)=\[([^\]]*)\]", text)}
    (public,) = re.findall(r"assignPublicIp=(\w+)", text)
    return {**lists, "assignPublicIp": public}
