"""Stands before the emulator's stream of orders: what enters is kept on disk, and put back into a stream made anew.

The functions write here; the matching service reads from the emulator itself. One record at a time, so that the file
has the order of the stream.
"""

import argparse
import base64
import http.client
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from local import bindings, emulated
from local.kept_records import Kept, KeptRecords, Place

FORWARD_SECONDS = 2.0
MOST_PUT = 500
PUT_BACK_SECONDS = 20.0
RETRY_SECONDS = 0.1
PRUNED_AT = 10_000
"""So many records are kept before those are dropped that a leader has taken."""

Positions = Mapping[tuple[int, str], str]
"""The last sequence number that was taken, by when the stream was made and shard."""


def is_taken(kept: Kept, positions: Positions) -> bool:
    """Tell whether a leader has committed a record."""
    place = kept.place
    return place is not None and place.sequence_number <= positions.get((place.created, place.shard_id), "")


class OrderStream:
    """The stream `name` at `url`, and the file of what is in it."""

    def __init__(self, url: str, name: str, kept: KeptRecords, positions: Callable[[], Positions]) -> None:
        self._url = url
        self._name = name
        self._kept = kept
        self._positions = positions
        self._kinesis = emulated.client("kinesis", url)
        self._created = 0
        self._added = 0
        self._one_at_a_time = threading.Lock()

    def put_back(self) -> int:
        """Put what no leader has taken, and a stream made anew has not, into it; return how many."""
        summary = self._kinesis.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
        self._created = round(summary["StreamCreationTimestamp"].timestamp() * 1_000_000)
        positions = self._positions()
        waiting = [kept for kept in self._kept.records() if not is_taken(kept, positions)]
        there = [kept for kept in waiting if kept.place and kept.place.created == self._created]
        lost = [kept for kept in waiting if not kept.place or kept.place.created != self._created]
        for start in range(0, len(lost), MOST_PUT):
            there += self._put(lost[start : start + MOST_PUT])
        self._kept.rewrite(there)
        return len(lost)

    def enter(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Keep a record, pass it on, and return the stream's answer; status 500 where nobody knows."""
        record = json.loads(body)
        with self._one_at_a_time:
            number = self._kept.add(record["PartitionKey"], record["Data"])
            try:
                status, answer = self.passed_on(headers, body)
            except ConnectionRefusedError:
                self._kept.refused(number)
                return 400, b'{"__type":"ServiceUnavailable"}'
            except (OSError, http.client.HTTPException):
                return 500, b'{"__type":"InternalFailure"}'
            if status == 200:
                placed = json.loads(answer)
                self._kept.placed(number, Place(self._created, placed["ShardId"], placed["SequenceNumber"]))
            else:
                self._kept.refused(number)
            self._prune()
            return status, answer

    def passed_on(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Send a request to the emulator as it came."""
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=FORWARD_SECONDS)
        try:
            connection.request("POST", "/", body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _put(self, lost: list[Kept]) -> list[Kept]:
        records = [{"PartitionKey": kept.key, "Data": base64.b64decode(kept.data)} for kept in lost]
        answers = self._kinesis.put_records(StreamName=self._name, Records=records)["Records"]
        return [
            Kept(kept.key, kept.data, Place(self._created, answer["ShardId"], answer["SequenceNumber"]))
            for kept, answer in zip(lost, answers, strict=True)
        ]

    def _prune(self) -> None:
        """Drop, now and then, what leaders have taken."""
        self._added += 1
        if self._added % PRUNED_AT == 0:
            positions = self._positions()
            self._kept.rewrite([kept for kept in self._kept.records() if not is_taken(kept, positions)])


def positions_in(url: str, password: str) -> Positions:
    """Read how far leaders have come; nothing where the database cannot tell, and copies will be found to be such."""
    try:
        connection = psycopg2.connect(url, password=password or None, connect_timeout=3)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT created, shard_id, max(sequence_number) FROM stream_positions GROUP BY 1, 2")
            found = cursor.fetchall()
        connection.close()
    except psycopg2.Error as error:
        log("the positions cannot be read", error=str(error).strip())
        return {}
    return {(created, shard_id): number for created, shard_id, number in found}


def log(message: str, **keys: object) -> None:
    """Write one structured line."""
    sys.stdout.write(json.dumps({"message": message, **keys}) + "\n")
    sys.stdout.flush()


def handler_of(stream: OrderStream) -> type[BaseHTTPRequestHandler]:
    """Return what serves one connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Serve one call."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            if self.headers.get("X-Amz-Target", "").endswith(".PutRecord"):
                status, answer = stream.enter(sent, body)
            else:
                try:
                    status, answer = stream.passed_on(sent, body)
                except (OSError, http.client.HTTPException):
                    status, answer = 500, b'{"__type":"InternalFailure"}'
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            """Say that it serves."""
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    return Handler


def _put_back(stream: OrderStream) -> None:
    """Put back what was lost, again and again while the emulator does not serve yet."""
    deadline = time.monotonic() + PUT_BACK_SECONDS
    while True:
        try:
            count = stream.put_back()
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise
            log("the stream cannot be filled yet", error=str(error))
            time.sleep(RETRY_SECONDS)
        else:
            log("serving", put_back=count)
            return


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.order_stream", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="listening socket")
    parser.add_argument("--emulator", required=True, help="URL of the emulator")
    parser.add_argument("--stream", required=True, help="name of the stream")
    parser.add_argument("--kept", type=Path, required=True, help="file of what entered")
    parser.add_argument("--bindings", type=Path, required=True, help="file that says where the database is")
    options = parser.parse_args()
    values = bindings.read(options.bindings).values
    kept = KeptRecords(options.kept)
    positions = partial(positions_in, values["DATABASE_URL"], values["DATABASE_PASSWORD"])
    stream = OrderStream(options.emulator, options.stream, kept, positions)
    _put_back(stream)
    listener = socket.socket(fileno=options.fd)
    server = ThreadingHTTPServer(listener.getsockname(), handler_of(stream), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    kept.close()


if __name__ == "__main__":
    main()
