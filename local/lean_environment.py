"""A lean execution environment: the Runtime API over one raw socket, a handler, nothing else; awslambdaric's semantics.

Run as `lean_environment.py HOST:PORT module.handler MEMORY` in the function's folder. An answer and the request for the
next invocation go out in one write, and their answers come back in one, which saves a round trip an invocation.
"""

import importlib
import json
import os
import socket
import sys
import time
import traceback
from typing import Any

PREFIX = "/2018-06-01/runtime/"
encode = json.JSONEncoder(ensure_ascii=False).encode
NEXT = f"GET {PREFIX}invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n".encode()


class Context:
    """What a handler is told about its invocation, with the names of Lambda's context object."""

    def __init__(self, headers: dict[str, str], memory_mb: int) -> None:
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = self.invoked_function_arn.rsplit(":", 1)[1]
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = memory_mb
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "local"
        self.client_context = self.identity = self.tenant_id = None
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the function's timeout."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class RuntimeApi:
    """A keep-alive connection to the Runtime API that reads one reply after the other."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Write everything."""
        self._socket.sendall(data)

    def reply(self) -> tuple[dict[str, str], bytes]:
        """Read one reply: headers with names in lower case, and the body. Exit when the server has gone."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        end += 4
        stop = end + int(headers.get("content-length", "0"))
        while len(self._buffer) < stop:
            self._fill()
        body, self._buffer = self._buffer[end:stop], self._buffer[stop:]
        return headers, body

    def _fill(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            sys.exit(0)
        self._buffer += data


def post(path: str, body: bytes) -> bytes:
    """Return a POST request for the Runtime API."""
    head = f"POST {PREFIX}{path} HTTP/1.1\r\nHost: runtime\r\nContent-Type: application/json\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


def error_document(error: BaseException) -> bytes:
    """Return Lambda's document of an unhandled error, and log it as Lambda does."""
    kind = type(error).__name__
    trace = traceback.format_tb(error.__traceback__)
    sys.stdout.write(f"[ERROR] {kind}: {error}\n{''.join(trace)}")
    sys.stdout.flush()
    return json.dumps({"errorMessage": str(error), "errorType": kind, "stackTrace": trace}).encode()


def invoke(handler: Any, headers: dict[str, str], event: bytes, memory_mb: int) -> bytes:
    """Run the handler on one event and return the POST that tells what came of it."""
    request_id = headers["lambda-runtime-aws-request-id"]
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
    try:
        result = encode(handler(json.loads(event), Context(headers, memory_mb))).encode()
    except Exception as error:  # noqa: BLE001 - the entry point: a bug ends this invocation, not the environment
        return post(f"invocation/{request_id}/error", error_document(error))
    return post(f"invocation/{request_id}/response", result)


def main(address: str, handler_name: str, memory_mb: int) -> None:
    """Import the handler and serve invocations until the server goes away."""
    api = RuntimeApi(address)
    module, _, name = handler_name.rpartition(".")
    try:
        handler = getattr(importlib.import_module(module), name)
    except BaseException as error:  # noqa: BLE001 - whatever an import raises is told to the Runtime API
        api.send(post("init/error", error_document(error)))
        api.reply()
        sys.exit(1)
    api.send(NEXT)
    while True:
        headers, event = api.reply()
        api.send(invoke(handler, headers, event, memory_mb) + NEXT)
        api.reply()  # the 202 of the answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
