"""`python -m bench [PART …]`: every part, or those named, on a system of its own, as one table a part."""

import argparse
import sys
import time

from bench import durable, http, machine, market_data, pure
from bench.http import RefusedError
from bench.report import Figure, table
from bench.system import NotStartedError, empty_handler, running

PARTS = {
    "core": "book and engine, in one process",
    "durable": "durable commands over the wire, ledger and id look-up included, search and archive off",
    "http": "signed orders over HTTP, with awslambdaric and with the lean environment",
    "market-data": "public reads over HTTP",
}
ENVIRONMENTS = ("awslambdaric", "lean")


def say(title: str, figures: list[Figure]) -> None:
    """Print one table at once."""
    print(table(title, figures), flush=True)


def over_http(parts: set[str], environment: str, runs: int, seconds: float) -> None:
    """Measure what goes over HTTP under one kind of execution environment, on one system."""
    with running(environment) as system, empty_handler(environment) as empty_url:
        if "http" in parts:
            found = http.rounds(system, empty_url, runs, seconds)
            say(f"signed orders over HTTP, {environment}", http.figures(environment, found))
        if "market-data" in parts:
            found = market_data.rounds(system.known, empty_url, runs, seconds)
            say(f"market data over HTTP, {environment}", market_data.figures(found))


def main(words: list[str]) -> int:
    """Measure; return 1, the reason on standard error, where something did not start or was refused."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--runs", type=int, default=3, help="the figures are the medians of so many, default: %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load over HTTP, default: %(default)s")
    arguments = parser.parse_args(words)
    parts = set(arguments.parts or PARTS)
    if parts - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(parts - set(PARTS)))}")
    begin = time.monotonic()
    print(f"{machine.description()}; medians of {arguments.runs} runs\n", flush=True)
    try:
        if "core" in parts:
            say(PARTS["core"], pure.figures(pure.rounds(arguments.runs)))
        if "durable" in parts:
            with running("lean") as system:
                say(PARTS["durable"], durable.figures(durable.rounds(system, arguments.runs)))
        for environment in ENVIRONMENTS if parts & {"http", "market-data"} else ():
            over_http(parts, environment, arguments.runs, arguments.seconds)
    except (NotStartedError, RefusedError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"took {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
