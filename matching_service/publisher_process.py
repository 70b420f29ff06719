"""The publisher as a process beside the leader: started, started again when it ends, and ended with the leadership."""

import asyncio
import logging
import sys

PAUSE_S = 1.0
STOP_S = 3.0

logger = logging.getLogger(__name__)


async def keep_publishing() -> None:
    """Keep a publisher running until canceled."""
    while True:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "matching_service", "publish")
        try:
            code = await process.wait()
            logger.warning("the publisher ended and is started again", extra={"code": code})
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), STOP_S)
        await asyncio.sleep(PAUSE_S)
