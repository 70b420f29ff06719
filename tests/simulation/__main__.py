"""`python -m tests.simulation`: runs seeds on all cores, tells of those with a violation, and replays one."""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b

from tests.simulation.node import FAILPOINTS
from tests.simulation.run import Outcome, run

CHUNK = 50
CHUNKS_A_PROCESS = 10
"""Commands and tickets are not tracked by the collector of cycles: what runs leave of them goes with its process."""


def main(words: list[str]) -> int:
    """Run the seeds; return 1 when one of them has a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, told in full")
    given = parser.parse_args(words)
    began = time.monotonic()
    if given.seed is not None:
        outcomes = _several([given.seed])
        _say(f"{outcomes[0]}")
    else:
        numbers = range(given.first, given.first + given.seeds)
        chunks = [numbers[place : place + CHUNK] for place in range(0, len(numbers), CHUNK)]
        with ProcessPoolExecutor(max_tasks_per_child=CHUNKS_A_PROCESS) as pool:
            outcomes = [outcome for several in pool.map(_several, chunks) for outcome in _told(several)]
    return _summed(outcomes, time.monotonic() - began)


def _several(numbers: Iterable[int]) -> list[Outcome]:
    logging.disable(logging.CRITICAL)  # a run has thousands of lines of the service, all of them expected
    return [run(number) for number in numbers]


def _told(outcomes: list[Outcome]) -> list[Outcome]:
    for outcome in outcomes:
        for problem in outcome.problems[:5]:
            _say(f"seed {outcome.seed} ({outcome.digest}): {problem}")
    return outcomes


def _summed(outcomes: list[Outcome], seconds: float) -> int:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.counts)
    reached = {name for outcome in outcomes for name in outcome.failpoints}
    failed = [outcome.seed for outcome in outcomes if outcome.problems]
    whole = blake2b("".join(outcome.digest for outcome in outcomes).encode(), digest_size=16).hexdigest()
    calls, resends = sum(outcome.calls for outcome in outcomes), sum(outcome.resends for outcome in outcomes)
    _say(
        f"{len(outcomes)} seeds, {calls} calls answered, {resends} sent again, {counts['commit']} batches,"
        f" {counts['fault']} faults, {counts['crash']} deaths, {counts['leads']} leaderships, digest {whole}"
    )
    _say(f"failpoints at which a process died: {len(reached)} of {len(FAILPOINTS)} {sorted(set(FAILPOINTS) - reached)}")
    _say(f"{len(failed)} seeds with a violation {failed[:20]}; {seconds:.0f} s on {os.cpu_count()} cores")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
