"""What begins a promotion for whom it is allowed, through whichever door it is asked for."""

from uuid import UUID

from blocks.connections import database
from deployments.shim.identity import Principal, let_pass
from kowai.versions import SPACE
from tasks.promote import receive_promotion
from tasks.suites import find_suite
from tasks.versions import slot_of


async def begin_promotion(version_id: UUID, suite: str, caller: Principal) -> UUID:
    """Store the wish to make a version live and return its id; a vector space is every tenant's. Raises Forbidden."""
    suite_id = await find_suite(suite, caller.tenant_id)
    async with (await database()).transaction(caller.tenant_id) as connection:
        if await slot_of(connection, version_id) == SPACE:
            let_pass("spaces.manage", caller)
    return await receive_promotion(version_id, suite_id, caller.tenant_id)
