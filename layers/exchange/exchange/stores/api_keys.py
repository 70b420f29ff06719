"""API keys as the edge needs them, from the table; it opens no secret."""

from dataclasses import dataclass

from exchange.stores.database import Readable


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key; `encrypted_secret` is sealed."""

    api_key: str
    account_id: str
    encrypted_secret: str
    scopes: tuple[str, ...]
    ip_allow_list: tuple[str, ...]
    deleted: bool


def api_key(database: Readable, cell: int, name: str) -> ApiKey | None:
    """Return the key of this name, deleted or not, None when there never was one."""
    found = database.rows(
        "SELECT api_key, account_id, encrypted_secret, scopes, ip_allow_list, deleted FROM api_keys "
        "WHERE cell = %s AND api_key = %s",
        cell,
        name,
    )
    if not found:
        return None
    name, account_id, encrypted_secret, scopes, ip_allow_list, deleted = found[0]
    return ApiKey(name, account_id, encrypted_secret, tuple(scopes.split()), tuple(ip_allow_list.split()), deleted)
