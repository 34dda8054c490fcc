"""Work that has to end whatever becomes of its caller: the books of a call are closed even if it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_closing: set[asyncio.Task[None]] = set()


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Wait for the work, which goes on if the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)
