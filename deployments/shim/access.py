"""Whether a caller may still be told, or still be answered: looked at again for as long as a request lasts."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from deployments.shim.identity import Principal
from kowai.errors import KowaiError, Unavailable
from tasks.event_log import check_subject
from tasks.record import close_stopped

LOOK_AGAIN_SECONDS = 2.0
SHUT_OUT = "Whoever asked may not ask any more, so this answer was given up."


class AccessCheck:
    """Look again, every two seconds at most, whether a caller may still be told of a subject."""

    def __init__(self, subject: UUID, caller: Principal) -> None:
        self._subject, self._caller = subject, caller
        self._due = time.monotonic() + LOOK_AGAIN_SECONDS

    async def look(self, *, at_once: bool = False) -> None:
        """Raise NotFound, and what the caller would be refused by now."""
        if at_once or time.monotonic() >= self._due:
            self._due = time.monotonic() + LOOK_AGAIN_SECONDS
            await self._caller.look_again()
            with suppress(Unavailable):
                await check_subject(self._subject, self._caller.tenant_id)

    async def refusal(self) -> KowaiError:
        """Return what the caller is refused by, as soon as that is so; look every two seconds from now on."""
        while True:
            try:
                await self.look(at_once=True)
            except KowaiError as error:
                return error
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


@asynccontextmanager
async def while_allowed(query_id: UUID, caller: Principal) -> AsyncGenerator[None]:
    """Answer a question in the block for as long as its caller may ask. Raises what they would be refused by now.

    An answer that takes less than two seconds is not looked after.
    """
    watching: list[asyncio.Task[KowaiError]] = []
    lapse = asyncio.timeout(None)

    def watch() -> None:
        watching.append(asyncio.create_task(AccessCheck(query_id, caller).refusal()))
        watching[0].add_done_callback(lambda done: None if done.cancelled() else lapse.reschedule(0))

    timer = asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, watch)
    try:
        async with lapse:
            yield
    except Exception as error:  # cancelled, it may also fail to settle what the answer has cost
        if not lapse.expired():
            raise
        await close_stopped(query_id, caller.tenant_id, SHUT_OUT)
        raise watching[0].result() from error
    finally:
        timer.cancel()
        for each in watching:
            each.cancel()
