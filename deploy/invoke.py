"""`make invoke`: every event of events/ through the real `sam local invoke`, beside a whole system of its own.

Each answer is held against events/answers.json. It installs nothing: a Docker engine must be there, and AWS's base
image, or with LAMBDA_BASE=local a stand-in made of this machine's own Python.
"""

import argparse
import asyncio
import ipaddress
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from client import credentials
from deploy import event
from deploy.stack import ROOT
from local import bindings, cloudformation, template
from local.children import die_with_parent
from local.settings import inherited

BUILT = ROOT / ".aws-sam" / "build"
INVOKED = BUILT / "invoke.yaml"
START_S = 180.0
INVOKE_S = 120.0
POLL_S = 0.1
SIGNED = {"place": 201, "test": 200, "orders": 200, "balances": 200, "search": 200}
"""Calls that are signed anew, and their statuses."""
NOT_DECLARED = ("AWS_ENDPOINT_URL",)
"""What the functions read on this machine alone: `sam` sets only variables that the template declares."""


class CannotInvoke(Exception):  # noqa: N818 - the message is for people
    """What is missing on this machine, in one line."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An event's name, its function, where it stands, and what must come back."""

    name: str
    function: str
    path: Path
    answer: Mapping[str, Any]


def events(functions: Mapping[str, template.Function], folder: Path = ROOT / "events") -> Iterator[Expected]:
    """Return every event of `folder` with the answer that is written down for it."""
    answers = json.loads((folder / "answers.json").read_text())
    for path in sorted(folder.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        (function,) = (known for known, one in functions.items() if one.code.name == path.parent.name)
        yield Expected(name, function, path, answers[name])


def difference(expected: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Say in what an answer is not what was expected, "" where it is; of a body only its `code` counts."""
    found = dict(answer)
    if "statusCode" in found:
        found = {"status": found["statusCode"]}
        code = json.loads(answer["body"]).get("code") if answer["body"] else None
        if code is not None:
            found["code"] = code
    return "" if found == dict(expected) else f"{json.dumps(found)} instead of {json.dumps(dict(expected))}"


def check_engine() -> str:
    """Return the address under which containers reach this machine; raise `CannotInvoke` without an engine."""
    words = ("docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")
    try:
        said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=20).stdout  # noqa: S603 - constant
    except (OSError, subprocess.SubprocessError):
        raise CannotInvoke("`sam local invoke` needs a running Docker engine, and none answers here") from None
    network = json.loads(said)[0]
    # An engine that chose the network itself does not name its gateway: it is the first address then.
    return network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))


def make_base(version: str) -> None:
    """Make the stand-in for AWS's base image."""
    words = ("/bin/sh", str(ROOT / "local" / "lambda_base.sh"), version)
    if subprocess.run(words, check=False, timeout=600).returncode:  # noqa: S603 - built here
        raise CannotInvoke("the stand-in for AWS's base image could not be made")


@contextmanager
def system(gateway: str) -> Iterator[Path]:
    """Run a whole system whose matching service containers can reach; yield its state folder."""
    with TemporaryDirectory(prefix="exchange-invoke-") as folder:
        Path(folder).chmod(0o755)
        state, log = Path(folder) / "state", Path(folder) / "log"
        variables = inherited() | {
            "PYTHONPATH": f"{ROOT / 'layers' / 'exchange'}:{ROOT}",
            "STATE": str(state),
            "PORT": "0",
            "GATEWAY_HOST": gateway,
        }
        with log.open("wb") as output:
            words = (sys.executable, "-m", "local")
            child = subprocess.Popen(  # noqa: S603 - built here
                words, cwd=ROOT, env=variables, stdout=output, stderr=output, preexec_fn=die_with_parent
            )
        try:
            _wait_for(child, log)
            yield state
        finally:
            child.terminate()
            child.wait()


def _wait_for(child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "\nready " not in (said := log.read_text(errors="replace")):
        if child.poll() is not None or time.monotonic() > deadline:
            raise CannotInvoke(f"the system did not start: {said[-500:]}")
        time.sleep(POLL_S)


def reachable(values: Mapping[str, str], gateway: str) -> tuple[dict[str, str], set[int]]:
    """Return variables as a container needs them, and the ports of loopback that must be forwarded for it."""
    ports = {int(port) for value in values.values() for port in re.findall(r"127\.0\.0\.1:(\d+)", value)}
    return {name: value.replace("127.0.0.1", gateway) for name, value in values.items()}, ports


@contextmanager
def forwarded(gateway: str, ports: set[int]) -> Iterator[None]:
    """Let containers reach these ports of loopback under the same numbers at `gateway`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    for port in ports:
        asyncio.run_coroutine_threadsafe(_forward(gateway, port), loop).result(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _forward(gateway: str, port: int) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except OSError:
            writer.close()

    await asyncio.start_server(carry, gateway, port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def write_template() -> None:
    """Write the built template with the variables that only this machine needs declared."""
    document = cloudformation.document(BUILT / "template.yaml")
    declared = document["Globals"]["Function"].setdefault("Environment", {}).setdefault("Variables", {})
    declared |= dict.fromkeys(NOT_DECLARED, "")
    INVOKED.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def invoked(sam: str, function: str, path: Path, variables: Path) -> Mapping[str, Any]:
    """Run `sam local invoke` once; return what the function answered. Raise `CannotInvoke` where nothing came."""
    words = (sam, "local", "invoke", function, "-t", str(INVOKED), "-e", str(path), "-n", str(variables))
    done = subprocess.run(  # noqa: S603 - built here
        (*words, "--skip-pull-image"), cwd=ROOT, check=False, capture_output=True, text=True, timeout=INVOKE_S
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise CannotInvoke(f"{function} with {path.name}: {done.stderr[-800:]}")
    answer: Mapping[str, Any] = json.loads(lines[-1])
    return answer


def run(sam: str, gateway: str) -> int:
    """Invoke everything and print a line for each; return how many answers were not as expected."""
    functions = template.read(ROOT / "template.yaml").functions
    write_template()
    wrong = 0
    with system(gateway) as state:
        bound = bindings.read(state / "bindings.json")
        values, ports = reachable({**bound.always, **bound.values, **bound.overrides}, gateway)
        variables = state / "environment.json"
        variables.touch(mode=0o600)
        variables.write_text(json.dumps({"Parameters": values}))
        with forwarded(gateway, ports):
            for expected in chain(events(functions), _signed(state)):
                began = time.monotonic()
                problem = difference(expected.answer, invoked(sam, expected.function, expected.path, variables))
                wrong += bool(problem)
                said = problem or json.dumps(dict(expected.answer))
                verdict = "WRONG" if problem else "ok"
                print(f"{verdict:6}{expected.name:28}{time.monotonic() - began:5.1f} s  {said}", flush=True)  # noqa: T201
    return wrong


def _signed(state: Path) -> Iterator[Expected]:
    """Return calls signed at the moment they are asked for: a signature lasts a minute."""
    for name, status in SIGNED.items():
        call = event.CALLS[name]
        path = state / f"{name}.json"
        made = event.event(call, credentials.read(state / "credentials.json"), time.time_ns() // 1_000_000)
        path.write_text(json.dumps(made))
        yield Expected(f"signed/{name}", call.function, path, {"status": status})


def main(arguments: Sequence[str] | None = None) -> int:
    """Invoke all; 1, the reason on standard error, where something is missing or an answer is wrong."""
    parser = argparse.ArgumentParser(prog="python -m deploy.invoke", description=__doc__)
    parser.add_argument("--sam", default=".venv-sam/bin/sam")
    parser.add_argument("--base", choices=("aws", "local"), default="aws", help="whose base image")
    given = parser.parse_args(arguments)
    try:
        gateway = check_engine()
        if given.base == "local":
            runtime = next(iter(template.read(ROOT / "template.yaml").functions.values())).runtime
            make_base(runtime.removeprefix("python"))
        wrong = run(given.sam, gateway)
    except (CannotInvoke, subprocess.TimeoutExpired) as error:
        print(f"invoke: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{wrong} wrong answers" if wrong else "every answer is as written down")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
