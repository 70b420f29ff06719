"""Who may do what in a search domain with fine-grained access; it leaves a server without such access alone."""

from typing import TYPE_CHECKING, Any

from exchange.search import ORDERS, TRADES

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

PATTERNS = [f"{ORDERS}-*", f"{TRADES}-*"]
WRITERS = {
    "cluster_permissions": ["cluster_monitor", "indices:data/write/bulk"],
    "index_permissions": [{"index_patterns": PATTERNS, "allowed_actions": ["crud", "create_index", "indices_monitor"]}],
}
READERS = {
    "cluster_permissions": ["cluster_monitor", "cluster_composite_ops_ro"],
    "index_permissions": [{"index_patterns": PATTERNS, "allowed_actions": ["read", "indices_monitor"]}],
}


def grant(search: "OpenSearch", writers: tuple[str, ...], readers: tuple[str, ...]) -> None:
    """Map IAM roles to what indexing and searching need, and to nothing else; harmless when it was done before."""
    for name, rights, holders in (("exchange_writers", WRITERS, writers), ("exchange_readers", READERS, readers)):
        if holders:
            _put(search, f"roles/{name}", rights)
            _put(search, f"rolesmapping/{name}", {"backend_roles": list(holders)})


def _put(search: "OpenSearch", path: str, body: dict[str, Any]) -> None:
    search.transport.perform_request("PUT", f"/_plugins/_security/api/{path}", body=body)
