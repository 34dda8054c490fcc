"""What keeps Appwrite's tables up to date while the shim runs."""

import asyncio

import structlog

from tasks.mirror import mirror

log = structlog.get_logger()
PAUSE_SECONDS = 5.0


async def keep_mirroring() -> None:
    """Tell changes every few seconds; what fails is told later and disturbs nobody."""
    while True:
        try:
            await mirror()
        except Exception as error:
            log.warning("answers not mirrored", error=repr(error)[:500])
        await asyncio.sleep(PAUSE_SECONDS)
