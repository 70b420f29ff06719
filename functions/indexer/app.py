"""Indexes the orders and trades of the executions stream for searches; it never decides what happened."""

from functools import cache
from typing import Any

from opensearchpy import OpenSearch

from exchange import indexing, search, settings
from exchange.deliveries import BatchResponse, batch_response, deliveries
from exchange.observability import Logger


@cache
def _settings() -> settings.Consumer:
    return settings.load(settings.Consumer)


@cache
def _logger() -> Logger:
    return Logger(_settings().service_name, _settings().log_level)


@cache
def _client() -> OpenSearch:
    return search.client(_settings().search_url, timeout_s=10)


def handler(event: dict[str, Any], _context: object) -> BatchResponse:
    """Index one batch of a shard; answer with the records that could not be."""
    received = deliveries(event)
    outcome = indexing.index(_client(), received)
    for number, reason in outcome.failed.items():
        _logger().error("not indexed", stream_sequence=number, reason=reason)
    _logger().info("indexed", records=len(received), documents=outcome.documents, failed=len(outcome.failed))
    return batch_response(received, outcome.failed)
