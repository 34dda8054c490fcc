"""Move all knowledge to another embedding model without a gap: build, compare, switch, drop."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.states import Completed

from kowai.errors import KowaiError
from tasks.claim import at_work
from tasks.give_up import retire_space
from tasks.receive import find_all_tenants
from tasks.reindex import begin_space, compare_spaces, drop_spaces, fill_space, switch_space
from tasks.spaces import StoredSpace
from tasks.waiting_spaces import find_space, find_waiting, pause_space, report_spaces

ALLOWED_LOSS = 0.05
WAITING = "Waiting"  # a state of the type Completed: nothing is broken


@flow(name="reindex", persist_result=False)
async def reindex(embedder: str = "kowai", allowed_loss: float = ALLOWED_LOSS) -> Any:
    """Build the vector space of an embedder block beside the current one and switch to it if it finds as much.

    Searches and ingestion go on meanwhile. A space that is refused or fails, or whose run is killed, is retired, so
    that another can be built; started again, its building goes on where it stopped. Where a tenant's money does not
    last, the others go on, the run ends as Waiting, and `reconcile` takes it up at night until the space is complete.

    Args:
        embedder: The block, of type KowAI Embedder, that is to embed documents and questions from then on.
        allowed_loss: How much of the recall on stored questions may be lost, from 0 to 1.
    """
    return await _move(await begin_space(embedder), allowed_loss)


@flow(name="reindex-stored", persist_result=False)
async def reindex_stored(space_id: UUID, tenant_id: UUID) -> Any:
    """Carry out the building of a space that was begun."""
    return await _move(await find_space(space_id), ALLOWED_LOSS)


async def go_on() -> Any:
    """Go on with the space that waits for money, if one does."""
    waiting = await find_waiting()
    return await _move(waiting.space, waiting.allowed_loss) if waiting else None


async def _move(space: StoredSpace, allowed_loss: float) -> Any:
    tenant_ids = await find_all_tenants()
    if space.state == "building":
        async with at_work(), retired_on_failure(space):
            finds = await fill(tenant_ids, space) or None
            if finds and not space.restored:
                finds = await compare_spaces(tenant_ids, space, allowed_loss)
            if finds is None or (finds and not await switch(tenant_ids, space)):
                sentence = await pause_space(space, tenant_ids, allowed_loss)
                await report_spaces()
                return Completed(name=WAITING, message=sentence)
            if not finds:
                await retire_space(space)
                return await report_spaces()
    await drop_spaces(tenant_ids)
    await report_spaces()
    return None


@asynccontextmanager
async def retired_on_failure(space: StoredSpace) -> AsyncGenerator[None]:
    """Give the space up where the block fails, so that its failure keeps nobody from building another."""
    try:
        yield
    except Exception:
        with suppress(KowaiError):  # the failure itself says more
            await retire_space(space)
        raise


async def fill(tenant_ids: list[UUID], space: StoredSpace) -> bool:
    """Give every chunk of every tenant its vector in the space; tell whether the money of all of them lasted."""
    return all([await _fill(tenant_id, space) for tenant_id in tenant_ids])  # each of them, whoever came before


async def _fill(tenant_id: UUID, space: StoredSpace) -> bool:
    while filled := await fill_space(tenant_id, space):
        pass
    return filled is not None


async def switch(tenant_ids: list[UUID], space: StoredSpace) -> bool:
    """Make the space the current one, filled again each time more was missing than fits into the last moment.

    Tell whether the money lasted.
    """
    patience = 0
    while not await switch_space(tenant_ids, space, patience):
        if not await fill(tenant_ids, space):
            return False
        patience += 1
    return True
