"""Move all knowledge to another embedding model without a gap: build, compare, switch, drop."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from prefect import flow

from kowai.errors import KowaiError
from tasks.claim import at_work
from tasks.give_up import retire_space
from tasks.receive import find_all_tenants
from tasks.reindex import begin_space, compare_spaces, drop_spaces, fill_space, find_space, report_spaces, switch_space
from tasks.spaces import StoredSpace

ALLOWED_LOSS = 0.05


@flow(name="reindex", persist_result=False)
async def reindex(embedder: str = "kowai", allowed_loss: float = ALLOWED_LOSS) -> None:
    """Build the vector space of an embedder block beside the current one and switch to it if it finds as much.

    Searches and ingestion go on meanwhile. A space that is refused or fails, or whose run is killed, is retired, so
    that another can be built; started again, its building goes on where it stopped.

    Args:
        embedder: The block, of type KowAI Embedder, that is to embed documents and questions from then on.
        allowed_loss: How much of the recall on stored questions may be lost, from 0 to 1.
    """
    await _move(await begin_space(embedder), allowed_loss)


@flow(name="reindex-stored", persist_result=False)
async def reindex_stored(space_id: UUID, tenant_id: UUID) -> None:
    """Carry out the building of a space that was begun."""
    await _move(await find_space(space_id), ALLOWED_LOSS)


async def _move(space: StoredSpace, allowed_loss: float) -> None:
    tenant_ids = await find_all_tenants()
    if space.state == "building":
        async with at_work(), retired_on_failure(space):
            await fill(tenant_ids, space)
            if not space.restored and not await compare_spaces(tenant_ids, space, allowed_loss):
                await retire_space(space)
                return await report_spaces()
            await switch(tenant_ids, space)
    await drop_spaces(tenant_ids)
    await report_spaces()


@asynccontextmanager
async def retired_on_failure(space: StoredSpace) -> AsyncGenerator[None]:
    """Give the space up where the block fails, so that its failure keeps nobody from building another."""
    try:
        yield
    except Exception:
        with suppress(KowaiError):  # the failure itself says more
            await retire_space(space)
        raise


async def fill(tenant_ids: list[UUID], space: StoredSpace) -> None:
    """Give every chunk of every tenant its vector in the space."""
    for tenant_id in tenant_ids:
        while await fill_space(tenant_id, space):
            pass


async def switch(tenant_ids: list[UUID], space: StoredSpace) -> None:
    """Make the space the current one, filled again each time more was missing than fits into the last moment."""
    patience = 0
    while not await switch_space(tenant_ids, space, patience):
        await fill(tenant_ids, space)
        patience += 1
