"""`sam deploy` of the real template to an emulator, and an order through it; nothing of it outlives the command."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import psycopg2
import yaml
from psycopg2 import sql

from client.signing import MAX_WINDOW_MS, Key, signed_headers
from deploy import emulator_template
from deploy.stack import ROOT, Missing
from local import cloudformation, parts, postgres, probes
from local.cloudformation import REGION
from local.parts import AWS_VARIABLES
from local.settings import inherited
from local.state import State
from local.supervisor import CannotGoOn, Part, Supervisor

BUILT = ROOT / ".aws-sam" / "build"
FOLDER = ROOT / ".local" / "deployment"
STACK = "exchange"
OWNER = "exchange_owner"
SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a type
NO_IMAGE = f"local/matching@sha256:{'0' * 64}"
PARAMETERS = {"AllowedCidr": "127.0.0.1/32", "MatchingImage": NO_IMAGE, "GlobalCluster": STACK}
"""With a GlobalCluster the owner's secret is the stack's own; the emulator makes none in the place of RDS."""
DEPLOY_SECONDS = 600.0
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where the stores and the emulator are, on loopback."""

    database: int
    redis: int
    search: int
    emulator: int
    gateway: int

    @property
    def endpoint(self) -> str:
        """Return where AWS is."""
        return f"http://127.0.0.1:{self.emulator}"

    def words(self) -> dict[str, str]:
        """Return what the template's expressions say, and what is there instead."""
        cache = "rediss://:{{resolve:secretsmanager:${CacheToken}:SecretString}}@${Cache.ConfigurationEndPoint.Address}:6379"
        return {
            cache: f"redis://127.0.0.1:{self.redis}/0",
            "${DatabaseCluster.Endpoint.Address}:5432": f"127.0.0.1:{self.database}",
            "?sslmode=require": "",
            "https://${SearchDomain.DomainEndpoint}": f"http://127.0.0.1:{self.search}",
        }


def say(line: str) -> None:
    """Tell the person who waits."""
    print(line, flush=True)  # noqa: T201 - what the command is for


async def main() -> int:
    """Deploy, trade, and take all of it down again; return the exit status."""
    state = State(FOLDER)
    state.remove()
    state.lock()
    supervisor = Supervisor(state, say)
    try:
        places = await _stores(state, supervisor)
        await _deployed(state, places)
        client = partial(boto3.client, endpoint_url=places.endpoint, region_name=REGION, **LOGIN)
        targets = await asyncio.to_thread(register, client)
        say(f"{targets} functions registered with the load balancer, which the emulator leaves out")
        await _matching(state, supervisor, places, client)
        for line in await asyncio.to_thread(trade, client, places):
            say(line)
    except (Missing, CannotGoOn) as error:
        print(f"deploy: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await supervisor.stop(("matching_service",))
    return 0


LOGIN = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}  # what an emulator takes


async def _stores(state: State, supervisor: Supervisor) -> Places:
    taken: set[int] = set()
    places = Places(*(probes.free_port(taken) for _ in range(5)))
    environment, secrets = inherited(), state.secrets()
    url = f"postgresql://{postgres.OWNER}@127.0.0.1:{places.database}/{postgres.DATABASE}"
    server = await postgres.prepare(state.folder / "postgres", secrets, environment)
    await asyncio.gather(
        supervisor.start(postgres.part(server, places.database, url, secrets.owner_password, environment)),
        supervisor.start(parts.valkey(places.redis, state, environment)),
        supervisor.start(parts.search_server(places.search, environment)),
        supervisor.start(emulator(places.emulator, environment)),
    )
    say("database, cache, search and emulator are up")
    return places


def emulator(port: int, environment: Mapping[str, str]) -> Part:
    """Return the emulator with all its services, in the runtime's Python, which its functions run in too."""
    folder = ROOT / ".venv-emulator" / "bin"
    own = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "PATH": f"{folder}:{environment.get('PATH', '')}",
    }
    command = (str(folder / "python"), "-m", "ministack")
    return Part("emulator", command, {**environment, **own}, probes.serves_http(port, "/_ministack/health"))


async def _deployed(state: State, places: Places) -> None:
    """Filter the built template, and give it to the real `sam deploy`."""
    built = cloudformation.document(BUILT / "template.yaml")
    document, changes = emulator_template.filtered(built, places.words())
    for line in changes:
        say(f"  {line}")
    (BUILT / "emulator.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    began = time.monotonic()
    words = ["--template-file", "emulator.yaml", "--stack-name", STACK, "--region", REGION, "--resolve-s3"]
    words += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"]
    words += ["--parameter-overrides", *(f"{name}={value}" for name, value in PARAMETERS.items())]
    environment = inherited() | AWS_VARIABLES | {"AWS_ENDPOINT_URL": places.endpoint, "SAM_CLI_TELEMETRY": "0"}
    with state.log_path("sam").open("ab") as log:
        command = (str(ROOT / ".venv-sam" / "bin" / "sam"), "deploy", *words)
        running = await asyncio.create_subprocess_exec(*command, cwd=BUILT, env=environment, stdout=log, stderr=log)
        code = await asyncio.wait_for(running.wait(), DEPLOY_SECONDS)
    if code != 0:
        raise Missing(f"sam deploy failed: {state.log_tail('sam')}")
    say(f"sam deploy: the stack {STACK} is complete after {time.monotonic() - began:.0f} s")


def register(client: Any) -> int:
    """Do what the emulator leaves out: give each target group its function; return how many."""
    balancing, functions = client("elbv2"), client("lambda")
    names = [item["FunctionName"] for item in functions.list_functions()["Functions"]]
    groups = balancing.describe_target_groups()["TargetGroups"]
    for group in groups:
        wanted = group["TargetGroupName"].removeprefix(f"{STACK}-").replace("-", "") + "function"
        (name,) = (name for name in names if wanted in name.lower())
        alias = functions.get_alias(FunctionName=name, Name="live")["AliasArn"]
        balancing.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": alias}])
    return len(groups)


async def _matching(state: State, supervisor: Supervisor, places: Places, client: Any) -> None:
    """Bootstrap, then serve, each with the command and the variables of its task definition."""
    here = {
        **AWS_VARIABLES,
        "AWS_ENDPOINT_URL": places.endpoint,
        "GATEWAY_PORT": str(places.gateway),
        "GATEWAY_ADDRESS": "127.0.0.1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'exchange'}",
    }
    bootstrap = await asyncio.to_thread(variables_of, client, "BootstrapTask")
    _make_owner(state, places, bootstrap["OWNER_DATABASE_PASSWORD"])
    no_roles = {"SEARCH_WRITERS": "", "SEARCH_READERS": ""}  # the search server here knows no rights
    environment = inherited() | bootstrap | here | no_roles
    with state.log_path("bootstrap").open("ab") as log:
        words = (sys.executable, "-m", "matching_service", "bootstrap")
        running = await asyncio.create_subprocess_exec(*words, env=environment, stdout=log, stderr=log)
        code = await running.wait()
    if code != 0:
        raise Missing(f"bootstrap failed: {state.log_tail('bootstrap')}")
    say("bootstrap: schema, roles, seed, and the keys in Secrets Manager")
    serving = await asyncio.to_thread(variables_of, client, "MatchingTask")
    ready = probes.logs_message(state.log_path("matching_service"), "leading")
    command = (sys.executable, "-m", "matching_service")
    await supervisor.start(Part("matching_service", command, inherited() | serving | here, ready))
    say("the matching service leads")


def variables_of(client: Any, task: str) -> dict[str, str]:
    """Return the variables of a task, its secrets read as Fargate would; the emulator forgets which they are."""
    family = f"{STACK}-{task.removesuffix('Task').lower()}"
    definition = client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    (deployed,) = definition["containerDefinitions"]
    variables = {item["name"]: str(item["value"]) for item in deployed["environment"]}
    properties = cloudformation.document(BUILT / "emulator.yaml")["Resources"][task]["Properties"]
    (container,) = properties["ContainerDefinitions"]
    return variables | {item["Name"]: _secret(client, item["ValueFrom"]) for item in container["Secrets"]}


def _secret(client: Any, expression: object) -> str:
    """Return the one secret that an expression refers to, or the password in it."""
    summaries = client("cloudformation").list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    held = {item["LogicalResourceId"]: item for item in summaries if item["ResourceType"] == SECRET}
    (name,) = emulator_template.references(expression) & set(held)
    place = held[name]["PhysicalResourceId"]
    text = str(client("secretsmanager").get_secret_value(SecretId=place)["SecretString"])
    return str(json.loads(text)["password"]) if ":password::" in json.dumps(expression) else text


def _make_owner(state: State, places: Places, password: str) -> None:
    """Make the owner of the tables, as RDS does with a new cluster."""
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=places.database,
        user=postgres.OWNER,
        password=state.secrets().owner_password,
        dbname=postgres.DATABASE,
    )
    with connection, connection.cursor() as cursor:
        role = sql.Identifier(OWNER)
        cursor.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(role, sql.Literal(password)))
    connection.close()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who signs requests to the load balancer of the emulator, which is chosen by its name."""

    endpoint: str
    host: str
    key: Key

    def call(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        """Return status and document of one answer."""
        body = json.dumps(document).encode() if document is not None else b""
        headers = signed_headers(self.key, time.time_ns() // 1_000_000, MAX_WINDOW_MS, method, path, "", body)
        headers |= {"Host": self.host, "Content-Type": "application/json"}
        request = Request(  # noqa: S310 - the emulator's address
            f"{self.endpoint}{path}", data=body or None, headers=headers, method=method
        )
        try:
            with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, error.read().decode(errors="replace")


def trade(client: Any, places: Places) -> list[str]:
    """Place, fill and read an order through the load balancer; raise `Missing` at the first wrong answer."""
    outputs = {
        item["OutputKey"]: item["OutputValue"]
        for item in client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    }
    said = client("secretsmanager").get_secret_value(SecretId=outputs["CredentialsArn"])["SecretString"]
    host = f"{urlsplit(outputs['Url']).hostname}:80"
    keys = json.loads(said)["accounts"]
    alice, bob = (
        Caller(places.endpoint, host, Key(keys[name]["api_key"], keys[name]["secret"])) for name in ("alice", "bob")
    )
    order = {"symbol": "BTC-USD", "type": "limit", "quantity": "0.01", "price": "60000"}
    placed = _expected(bob.call("POST", "/v1/orders", {**order, "side": "sell"}), 201)
    filled = _expected(alice.call("POST", "/v1/orders", {**order, "side": "buy"}), 201)
    read = _expected(alice.call("GET", f"/v1/orders/{filled['order']['order_id']}"), 200)
    trades = _expected(bob.call("GET", "/v1/markets/BTC-USD/trades"), 200)
    if (read["order"]["status"], len(filled["fills"]), len(trades["data"])) != ("filled", 1, 1):
        raise Missing(f"the order was not filled once: {read}")
    return [
        f"POST /v1/orders, Host {host}: 201, {placed['order']['status']}",
        f"POST /v1/orders: 201, {filled['order']['status']} by {filled['fills'][0]['trade_id']}",
        f"GET /v1/orders/{read['order']['order_id']}: 200, {read['order']['status']}",
        "GET /v1/markets/BTC-USD/trades: 200, one trade",
    ]


def _expected(answer: tuple[int, Any], status: int) -> Any:
    if answer[0] != status:
        raise Missing(f"answered {answer[0]} and not {status}: {answer[1]}")
    return answer[1]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
