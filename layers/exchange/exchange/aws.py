"""Requests to AWS's JSON services, signed here: Signature Version 4 and nothing of boto3, which takes 0.3 s to import.

Credentials come from the environment, as Lambda sets them, or from where Lambda says that they are to be had.
"""

import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from exchange.settings import AwsAccess

if TYPE_CHECKING:
    from http.client import HTTPConnection

ALGORITHM = "AWS4-HMAC-SHA256"
JSON_TYPE = "application/x-amz-json-1.1"
OK, INTERNAL = 200, 500
RENEWED_BEFORE_S = 60.0


class AwsAway(Exception):  # noqa: N818 - says what it means
    """The service did not answer in time, not at all, or not as it should; what was asked may have been done."""


class AwsRefused(Exception):  # noqa: N818
    """The service answered with an error: what was asked was not done."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Credentials(Struct, frozen=True):
    """A key, its secret, the token where they are temporary, and until when they hold."""

    key: str
    secret: str
    token: str = ""
    until: float = float("inf")


def signed(
    headers: Mapping[str, str], body: bytes, service: str, region: str, credentials: Credentials, now: datetime
) -> dict[str, str]:
    """Return the headers of a POST to `/`, `Host` among them, with those that sign it."""
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    sent = {**headers, "X-Amz-Date": stamp}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    lowered = sorted((name.lower(), value) for name, value in sent.items())
    names = ";".join(name for name, _ in lowered)
    lines = "".join(f"{name}:{value}\n" for name, value in lowered)
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    proof = f"Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"{ALGORITHM} {proof}"}


class Service:
    """One service at one address over one kept-open connection; not for use by two threads at once."""

    def __init__(self, name: str, target: str, url: str, access: AwsAccess, clock: Callable[[], float] = time.time):
        """Take the prefix of `X-Amz-Target`; an empty `url` means the service of the region."""
        suffix = "com.cn" if access.aws_region.startswith("cn-") else "com"
        address = urlsplit(url or f"https://{name}.{access.aws_region}.amazonaws.{suffix}")
        self._name = name
        self._target = target
        self._access = access
        self._clock = clock
        self._is_secure = address.scheme == "https"
        self._host = address.netloc
        self._credentials: Credentials | None = None
        self._connection: HTTPConnection | None = None

    def call(self, action: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        """Return the answer; raise `AwsRefused` with its code, or `AwsAway` where there is none.

        A kept connection found closed is replaced; what was sent on it without any answer may have been done.
        """
        from http.client import HTTPException  # with the first record that waits: it takes 5 ms

        body = json.dumps(arguments).encode()
        headers = {"Host": self._host, "Content-Type": JSON_TYPE, "X-Amz-Target": f"{self._target}.{action}"}
        try:
            now = datetime.fromtimestamp(self._clock(), UTC)
            sent = signed(headers, body, self._name, self._access.aws_region, self._current(timeout_s), now)
            status, answer = self._sent(sent, body, timeout_s)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise AwsAway(str(error) or type(error).__name__) from None
        if status >= INTERNAL:
            raise AwsAway(f"status {status}")
        if status != OK:
            raise AwsRefused(str(answer.get("__type", status)).rpartition("#")[2])
        return answer

    def close(self) -> None:
        """Close the connection; the next call opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, headers: Mapping[str, str], body: bytes, timeout_s: float) -> tuple[int, Any]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._opened(timeout_s)
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request("POST", "/", body, dict(headers))
        response = connection.getresponse()
        raw = response.read()
        return response.status, json.loads(raw) if raw else {}

    def _opened(self, timeout_s: float) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection

        if self._is_secure:
            return HTTPSConnection(self._host, timeout=timeout_s, context=ssl.create_default_context())
        return HTTPConnection(self._host, timeout=timeout_s)

    def _current(self, timeout_s: float) -> Credentials:
        kept = self._credentials
        if kept is None or kept.until - RENEWED_BEFORE_S < self._clock():
            kept = self._credentials = self._fetched(timeout_s)
        return kept

    def _fetched(self, timeout_s: float) -> Credentials:
        from http.client import HTTPConnection

        access = self._access
        if access.aws_access_key_id:
            return Credentials(access.aws_access_key_id, access.aws_secret_access_key, access.aws_session_token)
        place = urlsplit(access.aws_container_credentials_full_uri)
        connection = HTTPConnection(place.netloc, timeout=timeout_s)
        try:
            path = f"{place.path}?{place.query}" if place.query else place.path
            connection.request("GET", path, headers={"Authorization": access.aws_container_authorization_token})
            found = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        until = datetime.fromisoformat(found["Expiration"]).timestamp()
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], until)
