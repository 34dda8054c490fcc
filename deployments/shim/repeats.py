"""Requests that may be sent again under a key of their caller's own, and are carried out once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Response

from deployments.shim.identity import Principal
from tasks import idempotency
from tasks.idempotency import Claim

T = TypeVar("T")

REPLAYED = "Idempotency-Replayed"
PAUSE_SECONDS = 0.1

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A key of your own, such as a UUID: for a day, the same request sent again with it is not carried "
        "out again but answered as the first one was.",
    ),
]


class Effect(NamedTuple):
    """Name what a request brought about, and say whether an earlier one like it did."""

    id: UUID
    earlier: bool


class Repeats:
    """Hold the key that came with a request, if one did."""

    def __init__(self, response: Response, key: str | None) -> None:
        self._key, self._response = key, response

    async def once(self, asked: list[Any], caller: Principal, act: Callable[[Claim | None], Awaitable[UUID]]) -> Effect:
        """Carry out what is `asked`, unless the caller's key stands for it already.

        `act` settles the claim with its effect; if it fails, the key may be used again. Raises as `claim` does.
        """
        if self._key is None:
            return Effect(await act(None), earlier=False)
        claimed = await idempotency.claim(self._key, asked, caller.id, caller.tenant_id)
        if isinstance(claimed, UUID):
            self._response.headers[REPLAYED] = "true"
            return Effect(claimed, earlier=True)
        try:
            return Effect(await act(claimed), earlier=False)
        except BaseException:
            await idempotency.release(claimed, caller.tenant_id)
            raise


async def repeats(response: Response, idempotency_key: IdempotencyKey = None) -> Repeats:
    """Return those of the request; FastAPI would send the class itself to another thread."""
    return Repeats(response, idempotency_key)


Repeatable = Annotated[Repeats, Depends(repeats)]


async def awaited(read: Callable[[], Awaitable[T]], ended: Callable[[T], bool]) -> T:
    """Return what an earlier request's effect reads as once it has ended, or as far as it is when patience ends."""
    found = await read()
    with suppress(TimeoutError):
        async with asyncio.timeout(idempotency.PATIENCE_SECONDS):
            while not ended(found):
                await asyncio.sleep(PAUSE_SECONDS)
                found = await read()
    return found
