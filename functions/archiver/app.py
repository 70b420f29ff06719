"""Archives the executions stream in S3, each command and event once; it never decides what happened."""

from functools import cache
from typing import TYPE_CHECKING, Any

from exchange import archive, settings
from exchange.deliveries import BatchResponse, batch_response, deliveries
from exchange.observability import Logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@cache
def _settings() -> settings.Consumer:
    return settings.load(settings.Consumer)


@cache
def _logger() -> Logger:
    return Logger(_settings().service_name, _settings().log_level)


@cache
def _client() -> "S3Client":
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("s3", config=patience)


def handler(event: dict[str, Any], _context: object) -> BatchResponse:
    """Archive one batch of a shard; answer with the records that could not be."""
    received = deliveries(event)
    outcome = archive.archive(_client(), _settings().archive_bucket, received)
    for number, reason in outcome.failed.items():
        _logger().error("not archived", stream_sequence=number, reason=reason)
    _logger().info(
        "archived",
        records=len(received),
        stored=outcome.stored,
        already_there=outcome.already_there,
        failed=len(outcome.failed),
    )
    return batch_response(received, outcome.failed)
