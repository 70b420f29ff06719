"""From an empty database to an exchange that can trade, and nothing at all where that was done before.

Migrations, roles and index templates first; then the seed, by the leader if one serves, else as leader itself.
"""

import asyncio
import json
import logging
import os
import secrets
import time
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection

from exchange import sealing, search, wire
from exchange.commands import Command, CreateApiKey
from exchange.errors import Unavailable
from exchange.gateway_client import GatewayClient
from exchange.gateway_client import Leader as Address
from exchange.settings import Bootstrap as Settings
from exchange.settings import Service
from matching_service import lease, migrations, replica, search_access, seed, tenure
from matching_service.database import LOADING, opened, rows
from matching_service.following import Follower
from matching_service.lease import Candidate
from matching_service.submissions import Submission
from matching_service.tenure import Connections

DEADLINE_S = 60.0
RETRY_S = 0.25
CALL_TIMEOUT_MS = 10_000

logger = logging.getLogger(__name__)


class NobodyLeads(Exception):  # noqa: N818 - what the operator must hear
    """Neither did a leader answer nor could the lease be won in time."""


def run(settings: Settings, credentials: Path | None, base_url: str, resume: bool = False) -> None:
    """Do all of it, each step only where it is missing; `resume` a cell that was stopped only where told to."""
    with opened(settings.owner_database_url, settings.owner_database_password, "bootstrap", LOADING) as owner:
        applied = migrations.migrate(owner)
        passwords = {
            migrations.SERVICE_ROLE: settings.database_password,
            migrations.EDGE_ROLE: settings.functions_database_password,
        }
        migrations.grant_roles(owner, passwords)
        logger.info("the schema is ready", extra={"migrations_applied": applied})
        if settings.search_url:
            index = search.client(settings.search_url)
            search_access.grant(index, names(settings.search_writers), names(settings.search_readers))
            search.install_templates(index)
            search.add_fields(index)
        if resume and (why := lease.resume_cell(owner, settings.cell)):
            logger.warning("the cell was stopped and may be led again", extra={"why": why})
        submit(settings, owner, seed.commands(settings.cell, settings.home_region))
        keys = {name: _key(settings, owner, name) for name in seed.SCOPES}
    logger.info("the seed is there", extra={"accounts": len(keys)})
    content = {"base_url": base_url, "accounts": keys}
    if credentials is not None:
        _write(credentials, content)
    if settings.credentials_secret:
        _put(settings.credentials_secret, content)


def names(listed: str) -> tuple[str, ...]:
    """Return what a setting names, separated by commas."""
    return tuple(name for name in listed.split(",") if name)


def submit(settings: Settings, connection: Connection, commands: list[Command]) -> list[wire.Answer]:
    """Have commands applied, by the leader where one serves; raise `NobodyLeads` at the deadline."""
    give_up_at = time.monotonic() + DEADLINE_S
    directory = LeaseDirectory(connection, settings.cell)
    client = GatewayClient(directory, settings.gateway_secret, CALL_TIMEOUT_MS)
    while time.monotonic() < give_up_at:
        if directory.leader(after_failure=False) is None:
            answers = asyncio.run(_submit_as_leader(settings, commands))
            if answers is not None:
                return answers
        else:
            try:
                return client.submit(commands)
            except Unavailable as unavailable:
                logger.info("the leader does not answer yet", extra={"why": unavailable.detail})
            finally:
                client.close()
        time.sleep(RETRY_S)
    raise NobodyLeads(f"no leader of cell {settings.cell} within {DEADLINE_S:.0f} s")


class LeaseDirectory:
    """The leader by the lease row."""

    def __init__(self, connection: Connection, cell: int) -> None:
        self.connection = connection
        self.cell = cell

    def leader(self, after_failure: bool) -> Address | None:  # noqa: ARG002 - always read anew
        """Return who holds a lease that has not ended, None where nobody does."""
        found = rows(
            self.connection,
            "SELECT endpoint, certificate FROM lease WHERE cell = %s AND expires > clock_timestamp()",
            (self.cell,),
        )
        if not found or not found[0][0]:
            return None
        host, _, port = found[0][0].rpartition(":")
        return Address(host, int(port), found[0][1])


class Desk:
    """A session for one submission: it keeps the reply."""

    def __init__(self) -> None:
        self.replied: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()

    def reply(self, message: wire.Reply) -> None:
        """Take the reply."""
        self.replied.set_result(message)


async def _submit_as_leader(settings: Settings, commands: list[Command]) -> list[wire.Answer] | None:
    """Win the lease, apply, give it back; None when another has it."""
    candidate = Candidate(settings.cell, lease.new_holder(), "", "", int(DEADLINE_S * 1000))
    service = _service_settings(settings)
    with opened(settings.database_url, settings.database_password, "loader", LOADING) as loader:
        follower = Follower(await asyncio.to_thread(replica.load, loader, settings.cell))
    connections = await asyncio.to_thread(Connections, service, candidate)
    held = await asyncio.to_thread(tenure.begin, service, candidate, connections, follower)
    if held is None:
        connections.close()
        return None
    leader = held.leader(None, lambda _: None)
    running = asyncio.create_task(leader.run())
    desk = Desk()
    try:
        leader.submit(Submission(desk, wire.Submit(1, commands)))
        await asyncio.wait((running, desk.replied), return_when=asyncio.FIRST_COMPLETED)
        leader.stop()
        await running
    finally:
        await asyncio.to_thread(held.end)
    reply = await desk.replied
    return reply.answers if isinstance(reply, wire.Answers) else None


def _service_settings(settings: Settings) -> Service:
    return Service(
        database_url=settings.database_url,
        database_password=settings.database_password,
        redis_url=settings.redis_url,
        gateway_secret=settings.gateway_secret,
        key_encryption_key=settings.key_encryption_key,
        executions_stream="",
        cell=settings.cell,
    )


def _key(settings: Settings, connection: Connection, name: str) -> dict[str, Any]:
    """Return the seeded account's key, made where it has none that serves."""
    account_id, scopes = seed.account_id_of(name), seed.SCOPES[name]
    found = _stored_key(connection, settings.cell, account_id)
    if not found:
        api_key, secret = f"ex_{secrets.token_hex(12)}", secrets.token_urlsafe(32)
        sealed = sealing.seal(settings.key_encryption_key, api_key, secret)
        submit(settings, connection, [CreateApiKey("", account_id, api_key, sealed, scopes, ())])
        found = _stored_key(connection, settings.cell, account_id)
    api_key, sealed = found[0]
    secret = sealing.opened(settings.key_encryption_key, api_key, sealed)
    return {"account_id": account_id, "api_key": api_key, "secret": secret, "scopes": list(scopes)}


def _stored_key(connection: Connection, cell: int, account_id: str) -> list[tuple[Any, ...]]:
    return rows(
        connection,
        "SELECT api_key, encrypted_secret FROM api_keys WHERE cell = %s AND account_id = %s AND NOT deleted"
        " ORDER BY created_sequence LIMIT 1",
        (cell, account_id),
    )


def _put(secret: str, content: dict[str, Any]) -> None:
    """Give the keys to Secrets Manager, the one place that outlives a task and that an operator may read."""
    import boto3

    boto3.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(content))
    logger.info("the keys are in Secrets Manager", extra={"secret": secret})


def _write(credentials: Path, content: dict[str, Any]) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    credentials.parent.mkdir(parents=True, exist_ok=True)
    fresh = credentials.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    fresh.replace(credentials)
