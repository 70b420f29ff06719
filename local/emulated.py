"""Makes the template's streams and buckets in the AWS emulator; it never touches one that exists."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import boto3
from botocore.config import Config

from local.cloudformation import REGION
from local.parts import local_name


def client(service: Any, endpoint_url: str) -> Any:
    """Return a boto3 client of the emulator."""
    settings = Config(connect_timeout=2, read_timeout=30, retries={"max_attempts": 2}, s3={"addressing_style": "path"})
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - what an emulator takes
        config=settings,
    )


def make(endpoint_url: str, streams: Mapping[str, int], buckets: Iterable[str]) -> bool:
    """Make what is missing, by logical id; return whether any stream is new."""
    kinesis, s3 = client("kinesis", endpoint_url), client("s3", endpoint_url)
    fresh = False
    for logical_id, shards in streams.items():
        name = local_name(logical_id)
        with contextlib.suppress(kinesis.exceptions.ResourceInUseException):
            kinesis.create_stream(StreamName=name, ShardCount=shards)
            fresh = True
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    for logical_id in buckets:
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            s3.create_bucket(Bucket=local_name(logical_id))
    return fresh
