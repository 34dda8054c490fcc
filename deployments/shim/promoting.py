"""What begins or undoes a promotion for whom it is allowed, through whichever door it is asked for."""

from uuid import UUID

from blocks.connections import database
from deployments.shim.identity import Principal, let_pass
from deployments.shim.runs import Runs
from kowai.errors import InvalidInput
from kowai.versions import SPACE
from tasks.outbox import Along
from tasks.promote import NOT_LIVE, note_roll_back, promoted_embedder, receive_promotion, roll_back
from tasks.reindex import restore_space
from tasks.spaces import current_space
from tasks.step import traced
from tasks.versions import slot_of

REINDEX = "reindex-stored/reindex-stored"
BY_HAND = "Rolled back by hand"


async def begin_promotion(version_id: UUID, suite_id: UUID, caller: Principal, along: Along | None = None) -> UUID:
    """Store the wish to make a version live and return its id; a vector space is every tenant's. Raises Forbidden."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        if await slot_of(connection, version_id) == SPACE:
            let_pass("spaces.manage", caller)
    return await receive_promotion(version_id, suite_id, caller.tenant_id, along=along)


async def undo_promotion(promotion_id: UUID, caller: Principal, runs: Runs) -> None:
    """Make what was live before live again; a vector space is filled up first, in a worker, as long as it is kept.

    Raises Forbidden, InvalidInput for what is not live, and SpaceUnready where there is no space to go back to.
    """
    embedder = await promoted_embedder(promotion_id, caller.tenant_id)
    if embedder is None:
        if not await roll_back(promotion_id, caller.tenant_id, f"{BY_HAND}."):
            raise InvalidInput(NOT_LIVE)
        return
    let_pass("spaces.manage", caller)
    current = await current_space()
    if current is None or current.embedder != embedder:
        raise InvalidInput(NOT_LIVE)
    with traced():
        space = await restore_space()
        told = f"{BY_HAND}: the space of '{space.embedder}' is filled up and becomes the current one again."
        await note_roll_back(promotion_id, caller.tenant_id, told)
    await runs.start(REINDEX, tenant_id=caller.tenant_id, space_id=space.public_id)
