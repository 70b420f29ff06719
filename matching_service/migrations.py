"""The numbered migrations: applied once each, in order, under an advisory lock; never by a task that serves."""

from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from matching_service.database import rows

FOLDER = Path(__file__).parent / "migrations"
LOCK = 7_202_611_220
OLDEST_SCHEMA = 4
"""The oldest schema that this build can lead on: at most one before the newest, so that builds are deployed first and
the schema is migrated then. A migration that the code cannot do without makes it the newest."""
SERVICE_ROLE = "matching_service"
EDGE_ROLE = "functions"


def numbered() -> list[tuple[int, str]]:
    """Return number and text of every migration, in order."""
    files = sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [(int(file.name[:4]), file.read_text()) for file in files]


def schema_version(connection: Connection) -> int:
    """Return the number of the last migration applied, 0 for an empty database."""
    if rows(connection, "SELECT to_regclass('schema_migrations')") == [(None,)]:
        return 0
    return int(rows(connection, "SELECT coalesce(max(number), 0) FROM schema_migrations")[0][0])


def unfit_schema(version: int) -> str | None:
    """Say why this build cannot lead on a schema of that number, None where it can."""
    newest = numbered()[-1][0]
    if OLDEST_SCHEMA <= version <= newest:
        return None
    return f"the schema has number {version}, this build works with {OLDEST_SCHEMA} to {newest}"


def migrate(connection: Connection) -> int:
    """Apply what is missing, each migration in a transaction of its own; return how many were applied."""
    rows(connection, "SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        rows(
            connection,
            "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, applied timestamptz NOT NULL)",
        )
        applied = {number for (number,) in rows(connection, "SELECT number FROM schema_migrations")}
        missing = [(number, text) for number, text in numbered() if number not in applied]
        for number, text in missing:
            record = f"INSERT INTO schema_migrations VALUES ({number}, clock_timestamp())"  # noqa: S608
            rows(connection, f"BEGIN;\n{text}\n;{record}; COMMIT")
    finally:
        rows(connection, "SELECT pg_advisory_unlock(%s)", (LOCK,))
    return len(missing)


def grant_roles(connection: Connection, passwords: dict[str, str]) -> None:
    """Create the roles that serve and grant each what it needs; `passwords` is by role, empty for none.

    Neither owns a table; journal, fills, ledger and transfers can be neither updated nor deleted by them.
    """
    rows(connection, "SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        for role in (SERVICE_ROLE, EDGE_ROLE):
            if not rows(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)):
                rows(connection, sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            if passwords.get(role):
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(passwords[role])
                )
                rows(connection, statement)
        rows(connection, _GRANTS)
    finally:
        rows(connection, "SELECT pg_advisory_unlock(%s)", (LOCK,))


_GRANTS = f"""
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {SERVICE_ROLE}, {EDGE_ROLE};
GRANT USAGE ON SCHEMA public TO {SERVICE_ROLE}, {EDGE_ROLE};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {SERVICE_ROLE}, {EDGE_ROLE};
GRANT INSERT, UPDATE ON lease, fence, assets, accounts, api_keys, markets, balances, orders, fee_volumes, positions,
    stream_positions TO {SERVICE_ROLE};
GRANT DELETE ON lease, fee_volumes, stream_positions TO {SERVICE_ROLE};
GRANT INSERT ON journal, transfers, fills, ledger TO {SERVICE_ROLE};
"""
