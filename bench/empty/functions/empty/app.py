"""An empty handler behind the same load balancer: what a request costs when nothing is done with it."""

from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - the form of a handler
    """Answer 201 with a small JSON document."""
    return {
        "statusCode": 201,
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "body": '{"order":null,"fills":[]}',
        "isBase64Encoded": False,
    }
