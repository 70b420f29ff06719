"""The leader's protection from scale-in: asked of the container agent for as long as it leads; no order waits for it.

Source: the Amazon ECS guide, "Task scale-in protection endpoint". A task that could not be protected leads all the
same: to lose it is a take-over, not a loss.
"""

import asyncio
import json
import logging
from urllib.error import URLError
from urllib.request import Request, urlopen

EXPIRES_MINUTES = 60
AGAIN_S = 20 * 60.0
RETRY_S = 30.0
ANSWER_S = 3.0

logger = logging.getLogger(__name__)


async def hold(agent: str, again_s: float = AGAIN_S, retry_s: float = RETRY_S) -> None:
    """Keep this task protected until cancelled, then give the protection back; `agent` is the agent's address."""
    try:
        while True:
            is_protected = await asyncio.to_thread(put, agent, True)
            await asyncio.sleep(again_s if is_protected else retry_s)
    finally:
        await asyncio.to_thread(put, agent, False)


def put(agent: str, enabled: bool) -> bool:
    """Ask for the protection or give it back; False, with a log line, where the agent did not take it."""
    wanted = {"ProtectionEnabled": enabled} | ({"ExpiresInMinutes": EXPIRES_MINUTES} if enabled else {})
    request = Request(  # noqa: S310 - the address that the agent itself gives
        f"{agent}/task-protection/v1/state",
        json.dumps(wanted).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    try:
        with urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - the same
            told = json.load(answer)
    except (URLError, OSError, ValueError) as error:
        logger.warning("scale-in protection was not changed", extra={"enabled": enabled, "why": str(error)})
        return False
    if failure := told.get("failure") or told.get("error"):
        logger.warning("scale-in protection was not changed", extra={"enabled": enabled, "why": json.dumps(failure)})
        return False
    return True
