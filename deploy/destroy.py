"""The way down: deletes a stack and what its policies let outlive it; it refuses to touch production."""

from collections.abc import Callable, Iterator
from typing import Any

from deploy.stack import Clients, Missing

KEY_DAYS = 7
"""The fewest days that KMS waits before it deletes a key."""


def run(clients: Clients, stack: str) -> Iterator[str]:
    """Delete all of a `small` stack; yield a line for each thing that is gone."""
    cloudformation = clients("cloudformation")
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in found["Parameters"]}
    if parameters.get("Profile") != "small" or parameters.get("DeletionProtection") == "true":
        raise Missing(f"{stack} is no stack of the profile small without protection: see docs/operations.md")
    held = _resources(cloudformation, found["StackId"])
    for name in held.get("AWS::S3::Bucket", []):
        yield _emptied(clients, name)
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=found["StackId"])
    yield f"the stack {stack} is gone"
    for kind, remove in LEFTOVERS.items():
        for name in held.get(kind, []):
            if line := remove(clients, name):
                yield line


def _resources(cloudformation: Any, stack_id: str) -> dict[str, list[str]]:
    """Return the physical names of a stack's resources by type."""
    held: dict[str, list[str]] = {}
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id):
        for item in page["StackResourceSummaries"]:
            held.setdefault(item["ResourceType"], []).append(item["PhysicalResourceId"])
    return held


def _emptied(clients: Clients, name: str) -> str:
    s3, count = clients("s3"), 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if versions:
            named = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions]
            s3.delete_objects(Bucket=name, Delete={"Objects": named, "Quiet": True})
            count += len(named)
    return f"bucket {name}: {count} versions deleted"


def _bucket(clients: Clients, name: str) -> str | None:
    s3 = clients("s3")
    if name not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        return None
    _emptied(clients, name)
    s3.delete_bucket(Bucket=name)
    return f"bucket {name}: deleted"


def _stream(clients: Clients, name: str) -> str | None:
    kinesis = clients("kinesis")
    try:
        kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
    except kinesis.exceptions.ResourceNotFoundException:
        return None
    return f"stream {name}: deleted"


def _secret(clients: Clients, name: str) -> str | None:
    secrets = clients("secretsmanager")
    try:
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    except (secrets.exceptions.ResourceNotFoundException, secrets.exceptions.InvalidRequestException):
        return None
    return f"secret {name}: deleted"


def _snapshots(clients: Clients, cluster: str) -> str | None:
    rds = clients("rds")
    taken = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    names = [item["DBClusterSnapshotIdentifier"] for item in taken if item["DBClusterIdentifier"] == cluster]
    for name in names:
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
    return f"{len(names)} snapshots of {cluster}: deleted" if names else None


def _key(clients: Clients, name: str) -> str | None:
    kms = clients("kms")
    if kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    kms.schedule_key_deletion(KeyId=name, PendingWindowInDays=KEY_DAYS)
    return f"key {name}: deleted in {KEY_DAYS} days, which costs nothing more"


LEFTOVERS: dict[str, Callable[[Clients, str], str | None]] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::Kinesis::Stream": _stream,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::RDS::DBCluster": _snapshots,
    "AWS::KMS::Key": _key,
}
"""What becomes of each kind that a policy retains, the key last since the others are sealed with it."""
