"""What keeps this machine's state clear of what was erased while a shim or a worker runs on it."""

import asyncio

import structlog

from blocks.connections import database
from tasks.clear import clear_machine

log = structlog.get_logger()
PAUSE_SECONDS = 3600.0


async def keep_clearing(*, alone: bool = False) -> None:
    """Clear at once and every hour; what fails is cleared the next time and disturbs nobody.

    Where it works `alone`, it keeps no connection to the database open meanwhile.
    """
    while True:
        try:
            await clear_machine()
        except Exception as error:
            log.warning("state not cleared", error=repr(error)[:500])
        if alone:
            await (await database()).close()
        await asyncio.sleep(PAUSE_SECONDS)
