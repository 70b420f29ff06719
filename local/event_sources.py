"""Polls the template's Kinesis event sources and invokes their functions; it interprets no record.

Checkpoints are kept in memory only, like the stream itself: after a restart a source begins at its starting position,
and its function takes each record once by the record's own numbers.
"""

import argparse
import http.client
import json
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local import mappings, template
from local.mappings import Answered, Batch, Discarded, Failed, Lane
from local.parts import local_name
from local.shard_reads import READ_RECORDS, Position, Reads
from local.template import KinesisSource

READ_PAUSE = 0.25
"""Between reads that found less than they could carry: a read costs the emulator and us several milliseconds each."""
LANE_PAUSE = 0.1
DISCOVERY_PAUSE = 5.0
FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0
BUFFERED_RECORDS = 10_000
"""A lane that holds this many is not read for: the stream keeps the rest."""
INVOKE_TIMEOUT = 930.0

Invoke = Callable[[str, bytes], Failed | Answered]


def log(message: str, **keys: object) -> None:
    """Write one structured line."""
    sys.stdout.write(json.dumps({"message": message, **keys}) + "\n")
    sys.stdout.flush()


class Invoker:
    """Calls functions over Lambda's Invoke endpoint; one kept-open connection a thread."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._local = threading.local()

    def invoke(self, function: str, payload: bytes) -> Failed | Answered:
        """Invoke and wait; any way not to get an answer is `Failed`."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(self._address, timeout=INVOKE_TIMEOUT)
        try:
            connection.request("POST", f"/2015-03-31/functions/{function}/invocations", payload)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or response.headers.get("X-Amz-Function-Error"):
                log("function failed", function=function, status=response.status, body=body[:500].decode())
                return Failed()
            return Answered(json.loads(body) if body else None)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            log("invoke failed", function=function, error=str(error))
            return Failed()


class DeadLetters:
    """Keeps batches that were given up, payload and all: in a folder, and in the destination's bucket."""

    def __init__(self, folder: Path, s3: Any) -> None:
        self._folder = folder
        self._s3 = s3

    def keep(self, discarded: Discarded, source: KinesisSource, stream: str, shard: str) -> None:
        """Write one batch."""
        now = datetime.now(UTC)
        document = json.dumps(mappings.dead_letter(discarded, source, stream, shard, now)).encode()
        stamp = f"{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        folder = self._folder / source.name / shard
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stamp}.json").write_bytes(document)
        if source.on_failure:
            key = f"aws/lambda/{source.name}/{shard}/{now:%Y/%m/%d}/{stamp}"
            self._s3.put_object(Bucket=local_name(source.on_failure), Key=key, Body=document)
        log("batch given up", source=source.name, shard=shard, condition=discarded.condition, document=str(folder))


class Shard:
    """One shard as one source sees it: a reader that fills the lanes, and a worker that empties each."""

    def __init__(self, source: KinesisSource, shard_id: str, starting_position: str, tools: "Tools") -> None:
        self._source = source
        self._id = shard_id
        self._tools = tools
        self._stream = local_name(source.stream)
        self._lanes = [Lane(source) for _ in range(source.parallelization)]
        self._position = Position(starting_position)
        self._ended = False  # the stream says that there is no more

    def run(self, stopping: threading.Event) -> None:
        """Work until the shard has ended and all of it is done, or until told to stop."""
        threads = [threading.Thread(target=self._work, args=(lane, stopping)) for lane in self._lanes]
        for thread in threads:
            thread.start()
        while not (self._ended or stopping.is_set()):
            got = self._read() if max(map(len, self._lanes)) < BUFFERED_RECORDS else 0
            stopping.wait(0 if got == READ_RECORDS else READ_PAUSE)
        for thread in threads:
            thread.join()

    def _read(self) -> int:
        """Read once and share the records out; after an error the same position is read again."""
        try:
            found = self._tools.reads.read(self._stream, self._id, self._position)
        except (BotoCoreError, ClientError) as error:
            log("stream cannot be read", source=self._source.name, shard=self._id, error=str(error))
            self._ended = self._tools.reads.is_gone(self._stream, self._id)
            return 0
        now = time.time()
        for number, lane in enumerate(self._lanes):
            mine = [r for r in found.records if mappings.lane_of(r.partition_key, len(self._lanes)) == number]
            with self._tools.guard:
                lane.add(mine, now)
        self._position, self._ended = found.position, found.ended
        return len(found.records)

    def _work(self, lane: Lane, stopping: threading.Event) -> None:
        """Empty one lane in order: one batch after the other, retries with growing pauses."""
        while not stopping.is_set():
            now = time.time()
            with self._tools.guard:
                old, batch = lane.too_old(now), None
                if old is None:
                    batch = lane.next_batch(now)
            if old is not None:
                self._tools.dead_letters.keep(old, self._source, self._stream, self._id)
            elif batch is not None:
                if self._deliver(lane, batch):
                    stopping.wait(min(FIRST_BACKOFF * 2**lane.failures, LONGEST_BACKOFF))
            elif self._ended and not len(lane):
                return
            else:
                stopping.wait(LANE_PAUSE)

    def _deliver(self, lane: Lane, batch: Batch) -> bool:
        outcome = self._tools.invoke(self._source.function, mappings.event(batch, self._stream, self._id))
        with self._tools.guard:
            failed, discarded = lane.settle(batch, outcome)
        if discarded is not None:
            self._tools.dead_letters.keep(discarded, self._source, self._stream, self._id)
        return failed


class Tools:
    """What all shards share."""

    def __init__(self, kinesis: Any, invoke: Invoke, dead_letters: DeadLetters) -> None:
        self.kinesis = kinesis
        self.reads = Reads(kinesis)
        self.invoke = invoke
        self.dead_letters = dead_letters
        self.guard = threading.Lock()


class Source:
    """One event source: starts its shards as they appear, children after their parents have been worked off."""

    def __init__(self, source: KinesisSource, tools: Tools, pool: ThreadPoolExecutor) -> None:
        self._source = source
        self._tools = tools
        self._pool = pool
        self._started: set[str] = set()
        self._done: set[str] = set()
        self._first = True
        self._guard = threading.Lock()

    def discover(self, stopping: threading.Event) -> None:
        """Start what has appeared; only the shards of the first look begin at a LATEST starting position."""
        try:
            shards = self._tools.kinesis.list_shards(StreamName=local_name(self._source.stream))["Shards"]
        except (BotoCoreError, ClientError) as error:
            log("shards cannot be listed", source=self._source.name, error=str(error))
            return
        known = {shard["ShardId"] for shard in shards}
        with self._guard:
            position = self._source.starting_position if self._first else "TRIM_HORIZON"
            for shard in shards:
                parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} & known
                if shard["ShardId"] not in self._started and parents <= self._done:
                    self._started.add(shard["ShardId"])
                    self._pool.submit(self._run, shard["ShardId"], position, stopping)
            self._first = False

    def _run(self, shard_id: str, position: str, stopping: threading.Event) -> None:
        log("shard begun", source=self._source.name, shard=shard_id, position=position)
        try:
            Shard(self._source, shard_id, position, self._tools).run(stopping)
        finally:
            if not stopping.is_set():
                self._done.add(shard_id)
                self.discover(stopping)


def poll(sources: list[Source], stopping: threading.Event, wait: Callable[[float], object]) -> None:
    """Look for new shards until told to stop."""
    while not stopping.is_set():
        for source in sources:
            source.discover(stopping)
        wait(DISCOVERY_PAUSE)


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.event_sources", description=__doc__)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--invoke", required=True, help="URL of the edge's invoke endpoint")
    parser.add_argument("--dead-letters", type=Path, required=True, help="folder for batches that were given up")
    options = parser.parse_args()
    wiring = template.read(options.template.resolve())
    settings = Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 2}, max_pool_connections=32)
    s3 = boto3.client("s3", config=settings.merge(Config(s3={"addressing_style": "path"})))
    letters = DeadLetters(options.dead_letters, s3)
    tools = Tools(boto3.client("kinesis", config=settings), Invoker(options.invoke).invoke, letters)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with ThreadPoolExecutor(max_workers=256) as pool:
        poll([Source(source, tools, pool) for source in wiring.sources], stopping, stopping.wait)


if __name__ == "__main__":
    main()
