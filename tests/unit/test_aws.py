"""Requests to AWS signed by hand: as botocore would sign them."""

from datetime import UTC, datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials

from exchange.aws import Credentials, signed

NOW = datetime(2026, 11, 22, 7, 37, 24, tzinfo=UTC)
HEADERS = {
    "Host": "kinesis.eu-central-1.amazonaws.com",
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "Kinesis_20131202.PutRecord",
}


def their_signature(body: bytes, token: str | None) -> str:
    headers = {**HEADERS, "X-Amz-Date": f"{NOW:%Y%m%dT%H%M%SZ}"}
    if token:
        headers["X-Amz-Security-Token"] = token
    request = AWSRequest("POST", f"https://{HEADERS['Host']}/", headers, body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(TheirCredentials("AKID", "secret", token), "kinesis", "eu-central-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request)


def test_a_signature_is_that_of_botocore_with_and_without_a_token() -> None:
    for token in ("", "token"):
        ours = signed(HEADERS, b'{"a":1}', "kinesis", "eu-central-1", Credentials("AKID", "secret", token), NOW)

        assert ours["Authorization"].rpartition("=")[2] == their_signature(b'{"a":1}', token or None)
        assert ours.get("X-Amz-Security-Token", "") == token
