"""The leader's end of the waiting room: records of the stream `orders` become submissions, each taken exactly once.

A record's position is committed with the batch that it became part of. What is no command of this deployment is
passed by with a line in the log; nothing in the stream can stop a leader.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from msgspec.structs import replace
from psycopg2.extensions import connection as Connection

from exchange import queued, wire
from exchange.commands import AmendOrder
from exchange.orders import PlaceOrder
from exchange.queued import Malformed, Queueable
from matching_service.database import rows
from matching_service.shards import Kinesis, Left, ShardRecord, Shards, client
from matching_service.submissions import Submission

PAUSE_S = 0.2
"""Between reads that found little: AWS allows five a second and shard."""
FAILED_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
PREPARED_S = 5.0
"""How old what a standby knows of the stream is at most, while the stream answers."""
CLOSED_S = 2.0
"""How long a new leader's door stays shut at most while it reads what waits."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Leader(Protocol):
    """Who takes what waited."""

    def admit(self, submissions: list[Submission]) -> None:
        """Sequence these in order, after whatever came before; each is answered by its requester's `reply`."""


def positions(connection: Connection, cell: int, stream: str) -> Left:
    """Read how far the stream was taken; return what tells it for the stream that was made at a given time."""
    found = rows(
        connection,
        "SELECT created, shard_id, sequence_number FROM stream_positions WHERE cell = %s AND stream = %s",
        (cell, stream),
    )
    return lambda created: {shard_id: number for made, shard_id, number in found if made == created}


class _Round:
    """Who waits for the answers to one read: nobody wants to know them, only that all are there."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.is_taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def reply(self, message: wire.Reply) -> None:
        """Count an answer; a failure says that the leader ends."""
        self.missing -= 1
        if self.is_taken.done():
            return
        if isinstance(message, wire.Failure):
            self.is_taken.set_result(False)
        elif not self.missing:
            self.is_taken.set_result(True)


class OrderStream:
    """The stream `orders` as one task reads it: one call at a time, in a thread of its own."""

    def __init__(self, stream: str, connect: Callable[[], Kinesis] = client) -> None:
        self._stream = stream
        self._connect = connect
        self._shards: Shards | None = None
        self._reading = ThreadPoolExecutor(1, "waiting-room")

    async def stay_prepared(self) -> None:
        """Have the client, its connection and the list of shards ready for a take-over, until canceled."""
        while True:
            try:
                await self.run(self._prepare)
            except (BotoCoreError, ClientError) as error:
                logger.info("the stream of orders does not answer", extra={"why": str(error)})
            await asyncio.sleep(PREPARED_S)

    async def begin(self, left: Left) -> Shards:
        """Return what reads on from where earlier leaders have left."""
        return await self.run(partial(self._begun, left))

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, in the thread that asks the stream."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def close(self) -> None:
        """Ask nothing more."""
        self._reading.shutdown(wait=False)

    def _prepare(self) -> None:
        self._known().prepare()

    def _begun(self, left: Left) -> Shards:
        shards = self._known()
        shards.begin(left)
        return shards

    def _known(self) -> Shards:
        if self._shards is None:
            self._shards = Shards(self._connect(), self._stream)
        return self._shards


class WaitingRoom:
    """Empties the stream into one leader for as long as that one leads."""

    def __init__(self, stream: OrderStream, left: Left, leader: Leader, cell: int, secret: str) -> None:
        self._stream = stream
        self._left = left
        self._leader = leader
        self._cell = cell
        self._secret = secret
        self._failures = 0
        self.is_level = asyncio.Event()
        self.taken = self.skipped = 0

    async def run(self) -> None:
        """Take what comes until the leader takes no more."""
        shards = await self._stream.begin(self._left)
        while await self._turn(shards):
            pass

    async def level(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Wait until all that had entered before now is committed, while none of `tasks` ends, and not for long.

        One of the tasks is `run`: what it waits for until the stream has answered at all counts as well.
        """
        began = time.monotonic()
        level = asyncio.create_task(self.is_level.wait())
        await asyncio.wait([level, *tasks], timeout=CLOSED_S, return_when=asyncio.FIRST_COMPLETED)
        level.cancel()
        extra = {"taken": self.taken, "skipped": self.skipped, "ms": round(1000 * (time.monotonic() - began))}
        logger.info("what waited is taken" if self.is_level.is_set() else "not all that waits is taken", extra=extra)

    async def _turn(self, shards: Shards) -> bool:
        try:
            found = await self._stream.run(shards.read)
        except (BotoCoreError, ClientError) as error:
            pause_s = FAILED_PAUSES_S[min(self._failures, len(FAILED_PAUSES_S) - 1)]
            self._failures += 1
            if self._failures == 1:
                logger.warning("the stream of orders cannot be read", extra={"why": str(error)})
            await asyncio.sleep(pause_s)
            return True
        self._failures = 0
        commands = [(made, record.position) for record in found if (made := self._command(record)) is not None]
        if commands:
            taken = _Round(len(commands))
            self._leader.admit(
                [Submission(taken, wire.Submit(0, [command]), position) for command, position in commands]
            )
            if not await taken.is_taken:
                return False
            self.taken += len(commands)
            logger.info("taken from the waiting room", extra={"taken": len(commands), "in_all": self.taken})
        if shards.is_level:
            self.is_level.set()
        if not found:
            await asyncio.sleep(PAUSE_S)
        return True

    def _command(self, record: ShardRecord) -> Queueable | None:
        """Return the command of a record; None where it is another cell's, or nobody's."""
        try:
            found = queued.decode(self._secret, record.data)
        except Malformed as error:
            self._skip(record, str(error))
            return None
        command = found.command
        if record.partition_key != queued.partition_key(found.cell, command.account_id):
            self._skip(record, "it came under another key than its own")
            return None
        if found.cell != self._cell:
            return None
        if isinstance(command, PlaceOrder):
            return replace(command, queue_deadlines=queued.deadlines(command, found.arrived))
        if isinstance(command, AmendOrder):
            return replace(command, queue_deadline=found.arrived + queued.TAKING_MS * 1000)
        return command

    def _skip(self, record: ShardRecord, why: str) -> None:
        self.skipped += 1
        position = record.position
        extra = {"shard": position.shard_id, "record": position.sequence_number, "why": why, "in_all": self.skipped}
        logger.warning("a record of the waiting room was passed by", extra=extra)
