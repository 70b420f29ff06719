"""The stream `orders` from the edge: one record put, twice if need be; it reads nothing back."""

import base64
import time
from collections.abc import Callable

from exchange.aws import AwsAway, AwsRefused, Service
from exchange.errors import Unavailable
from exchange.settings import AwsAccess

FIRST_SHARE = 0.6
"""How much of the time the first attempt may take."""
DESCRIBED_WITHIN_S = 0.5
PAUSE_S = 0.05
"""Before a throttled record is put again."""


class OrderStream:
    """Puts records; not for use by two threads at once."""

    def __init__(self, name: str, access: AwsAccess, pause: Callable[[float], None] = time.sleep):
        url = access.aws_endpoint_url_kinesis or access.aws_endpoint_url
        self._name = name
        self._service = Service("kinesis", "Kinesis_20131202", url, access)
        self._pause = pause

    def put(self, partition_key: str, data: bytes, within_s: float) -> None:
        """Put a record; it may be there twice, and also where this raises `Unavailable` with execution unknown."""
        record = {
            "StreamName": self._name,
            "PartitionKey": partition_key,
            "Data": base64.b64encode(data).decode("ascii"),
        }
        execution = "none"
        for timeout_s in (within_s * FIRST_SHARE, within_s * (1 - FIRST_SHARE)):
            try:
                self._service.call("PutRecord", record, timeout_s)
            except AwsRefused:
                self._pause(PAUSE_S)
            except AwsAway:
                execution = "unknown"
            else:
                return
        raise Unavailable("Orders can be neither matched nor queued now.", execution)

    def is_there(self) -> bool:
        """Tell whether the stream would take a record."""
        try:
            found = self._service.call("DescribeStreamSummary", {"StreamName": self._name}, DESCRIBED_WITHIN_S)
        except (AwsAway, AwsRefused):
            return False
        return found["StreamDescriptionSummary"]["StreamStatus"] in ("ACTIVE", "UPDATING")

    def close(self) -> None:
        """Close the connection; the next record opens one."""
        self._service.close()
