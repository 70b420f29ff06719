"""Which history of a cell the records outside its database tell: 1 at first, another after a restore that lost some.

Whatever carries a sequence outside the database carries its timeline, so that two histories with the same sequences
are never taken for one another. What the earlier one left in the archive stays there, under its own number.
"""

import logging
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection

from exchange.search import ORDERS, TRADES, install_templates
from exchange.stores.cache import Cache
from matching_service.database import rows
from matching_service.publisher import TIMELINE, publish_again, set_position, timeline

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

LAST = 32_767
"""A document's version has 15 bits for it."""

logger = logging.getLogger(__name__)


class CannotBegin(Exception):  # noqa: N818 - the message is for the operator
    """Why the next timeline does not begin; nothing was changed."""


def begin(connection: Connection, cell: int, number: int, documents: int) -> None:
    """Let timeline `number` begin, and the whole journal be published as its own.

    To be called once the restored database is the only one and before anything leads it. Raise `CannotBegin`, nothing
    changed, when something leads, or when `number` is not above the timeline that the database knows.
    """
    rows(connection, "BEGIN")
    try:
        _check(connection, cell, number)
        set_position(connection, cell, TIMELINE, number)
        publish_again(connection, cell, documents)
    except BaseException:
        rows(connection, "ROLLBACK")
        raise
    rows(connection, "COMMIT")
    logger.info("a timeline begins", extra={"cell": cell, "timeline": number})


def _check(connection: Connection, cell: int, number: int) -> None:
    known = timeline(connection, cell)
    if not known < number <= LAST:
        raise CannotBegin(f"the cell is on timeline {known}; the next must be above it and at most {LAST}")
    if rows(connection, "SELECT 1 FROM lease WHERE cell = %s AND expires > clock_timestamp() FOR UPDATE", (cell,)):
        raise CannotBegin("a task leads the cell: stop it first")


def forget_market_data(cache: Cache, symbols: list[str]) -> None:
    """Let the leader write market data anew: what is there may be of a later sequence than there is now."""
    for symbol in symbols:
        key = f"{{{symbol}}}:sequence"
        cache.call(key, "DEL", key)


def forget_documents(search: "OpenSearch") -> None:
    """Delete what is indexed: orders and trades that the restore lost would be found for ever."""
    for name in (ORDERS, TRADES):
        for index in search.indices.get(index=f"{name}-*", params={"ignore_unavailable": "true"}):
            search.indices.delete(index=index)
    install_templates(search)
