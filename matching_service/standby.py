"""A task that does not lead: it keeps its memory at the end of the journal, watches the lease, and takes over.

It loads the tables once, follows the journal from there, and never reads them again: whoever wins applies the tail
and serves. What does not fit, or does not agree, never leads.
"""

import logging
import threading
import time

import psycopg2
from psycopg2.extensions import connection as Connection

from exchange.settings import Service as Settings
from matching_service import journal, lease, migrations, replica, tenure
from matching_service.database import LOADING, opened, rows, wait
from matching_service.failpoints import Failpoints
from matching_service.following import Follower, Unfit
from matching_service.health import Health, Role
from matching_service.lease import Candidate, Standing
from matching_service.tenure import Connections, Tenure

POLL_S = 0.05
"""Between looks at journal and lease: a look costs the database two reads by key."""
AGAIN_S = 0.005
"""Before another look at a lease that had ended and was not won."""
ROWS_A_TURN = 200
SCRUBBED_A_TURN = 200
"""Records of the memory that are looked at each turn: 4,000 a second, which is 2 % of a core."""
CHECK_FITNESS_S = 1.0
RETRY_S = 0.2

logger = logging.getLogger(__name__)


class Standby:
    """One stay in the second row, from an empty memory to a lease that is won."""

    def __init__(self, settings: Settings, candidate: Candidate, health: Health, failpoints: Failpoints) -> None:
        self.settings = settings
        self.candidate = candidate
        self.health = health
        self.failpoints = failpoints
        self.follower: Follower | None = None
        self.connections: Connections | None = None
        self.stopping = threading.Event()
        self.has_seen_leader = False
        self.fitness_checked_s = float("-inf")
        self.last_trouble: str | None = None

    def run(self) -> Tenure | None:
        """Follow until the lease is won, or until `stop`; raise `Diverged` when the memory is wrong. Blocks."""
        self.health.becomes(Role.LOADING, "the tables are not loaded yet")
        while not self.stopping.is_set():
            try:
                with opened(self.settings.database_url, self.settings.database_password, self._name()) as connection:
                    rows(connection, f"LISTEN {lease.CHANNEL.format(self.candidate.cell)}")
                    if held := self._stay(connection):
                        return held
            except Unfit as unfit:
                self._note(Role.UNFIT, str(unfit))
                self.stopping.wait(CHECK_FITNESS_S)
            except psycopg2.Error as error:
                self._close()
                self._tell(f"the database: {error}".strip())
                self.stopping.wait(RETRY_S)
        self._close()
        return None

    def stop(self) -> None:
        """Let `run` return soon."""
        self.stopping.set()

    def _name(self) -> str:
        return f"standby/{self.candidate.cell}/{self.candidate.holder}"

    def _stay(self, connection: Connection) -> Tenure | None:
        """Follow, and try to win whenever nobody leads; None when told to stop."""
        while not self.stopping.is_set():
            self._check_fitness(connection)
            follower = self.follower = self.follower or self._loaded()
            standing = lease.standing(connection, self.candidate.cell)
            is_at_end = self._follow(connection, follower)
            self.health.follows(follower.sequence, is_at_end)
            if not is_at_end:
                continue
            follower.scrub(SCRUBBED_A_TURN)
            self._connections()
            self._note_standing(standing)
            is_free = standing is None or standing.is_free
            if is_free and (held := self._begun(follower)):
                return held
            remaining_s = standing.remaining_ms / 1000 if standing and not is_free else AGAIN_S
            wait(connection, min(POLL_S, max(remaining_s, AGAIN_S)))
        return None

    def _begun(self, follower: Follower) -> Tenure | None:
        held = tenure.begin(self.settings, self.candidate, self._connections(), follower, self.failpoints)
        if held and not self.has_seen_leader:  # orders may have waited before this task was there
            held.is_handed_over = False
        return held

    def _connections(self) -> Connections:
        self.connections = self.connections or Connections(self.settings, self.candidate)
        return self.connections

    def _close(self) -> None:
        if self.connections is not None:
            self.connections.close()
        self.connections = None

    def _check_fitness(self, connection: Connection) -> None:
        """Raise `Unfit` where the schema is not one that this build works with; asked now and then."""
        if time.monotonic() - self.fitness_checked_s < CHECK_FITNESS_S:
            return
        if why := migrations.unfit_schema(migrations.schema_version(connection)):
            raise Unfit(why)
        last = journal.last_row(connection, self.candidate.cell) if self.follower is None else None
        if last is not None and last.rules_version not in journal.KNOWN_RULES:
            raise Unfit(f"the journal has rules {last.rules_version}, this build knows {sorted(journal.KNOWN_RULES)}")
        self.fitness_checked_s = time.monotonic()

    def _loaded(self) -> Follower:
        settings = self.settings
        with opened(settings.database_url, settings.database_password, "loader", LOADING) as loader:
            return Follower(replica.load(loader, self.candidate.cell))

    def _follow(self, connection: Connection, follower: Follower) -> bool:
        """Apply what the journal has more; tell whether that was all of it."""
        found = journal.rows_after(connection, self.candidate.cell, follower.sequence, ROWS_A_TURN)
        for row in found:
            follower.follow(row)
        return len(found) < ROWS_A_TURN

    def _note_standing(self, standing: Standing | None) -> None:
        if standing is not None and standing.stopped is not None:
            self._note(Role.STOPPED, f"the cell is stopped: {standing.stopped}")
        else:
            is_led = standing is not None and not standing.is_free
            self.has_seen_leader = self.has_seen_leader or is_led
            self._note(Role.STANDBY, "" if is_led else "nobody leads the cell")

    def _note(self, role: Role, why: str) -> None:
        """Tell of a change, once while it stays the same."""
        self.health.becomes(role, why)
        self._tell(why)

    def _tell(self, why: str) -> None:
        if why != self.last_trouble:
            extra = {"role": self.health.role, "why": why}
            logger.log(logging.WARNING if why else logging.INFO, "standing by", extra=extra)
        self.last_trouble = why
