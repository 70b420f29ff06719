"""What stream, archive and index hold, read whole from the running stores, and compared with the journal: I8 to I10."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from opensearchpy import OpenSearch

from exchange import search, stream
from exchange.archive import ArchiveLine, read_archive
from exchange.search import Document
from exchange.stream import StreamRecord
from tests.checkers.copies import archive_problems, index_problems, stream_problems
from tests.checkers.database import cells, journal_rows, order_documents, snapshot, trade_documents
from tests.checkers.journal import happened

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client

PAGE = 500


def check_copies(
    dsn: str, kinesis: "KinesisClient", stream_name: str, s3: "S3Client", bucket: str, index: OpenSearch
) -> list[str]:
    """Return every difference between the journal and its copies, once nothing is on its way any more."""
    with snapshot(dsn) as connection:
        journal = happened(row for cell in cells(connection) for row in journal_rows(connection, cell))
        orders, trades = order_documents(connection), trade_documents(connection)
    found = list(stream_problems(journal, stream_records(kinesis, stream_name)))
    found += archive_problems(journal, archive_lines(s3, bucket))
    found += index_problems("order", orders, indexed_orders(index))
    found += index_problems("trade", trades, indexed_trades(index))
    return found


def stream_records(kinesis: "KinesisClient", stream_name: str) -> Iterator[StreamRecord]:
    """Return every record that the stream keeps, shard by shard from its beginning."""
    for shard in kinesis.list_shards(StreamName=stream_name)["Shards"]:
        answer = kinesis.get_shard_iterator(
            StreamName=stream_name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        iterator: str | None = answer["ShardIterator"]
        while iterator is not None:
            batch = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            yield from (stream.decode(record["Data"]) for record in batch["Records"])
            at_the_end = not batch["Records"] and not batch["MillisBehindLatest"]
            iterator = None if at_the_end else batch.get("NextShardIterator")


def archive_lines(s3: "S3Client", bucket: str) -> list[ArchiveLine]:
    """Return every line of the archive once."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return read_archive(s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)


def indexed_orders(index: OpenSearch) -> dict[str, Document]:
    """Return every order of the index, by id."""
    return {order["order_id"]: order for order in _documents(index, search.search_orders)}


def indexed_trades(index: OpenSearch) -> dict[str, Document]:
    """Return every trade of the index, by id."""
    return {trade["trade_id"]: trade for trade in _documents(index, search.search_trades)}


def _documents(index: OpenSearch, find: Callable[..., search.Page]) -> Iterator[Document]:
    cursor: str | None = None
    while True:
        page = find(index, {}, PAGE, cursor)
        yield from page.documents
        if (cursor := page.next_cursor) is None:
            return
