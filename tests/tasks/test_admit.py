"""A question that may be answered is running once it is admitted, whatever else happens to its row meanwhile."""

import asyncio
from uuid import UUID

from sqlalchemy import text

from blocks.database import Database
from tasks.admit import admit
from tasks.receive import Inquiry, receive_query


async def test_a_question_whose_lease_is_just_being_renewed_is_admitted_and_running(
    store: Database, tenant: UUID
) -> None:
    query_id = await receive_query(Inquiry("How long is green tea steeped?"), tenant)
    async with store.transaction(tenant) as connection:
        await connection.execute(text("update query set leased_until = now()"))
        admission = asyncio.create_task(admit(query_id, tenant))
        waiting = text("select count(*) from pg_locks where not granted")
        while not await connection.scalar(waiting):
            await asyncio.sleep(0.01)
    assert (await admission).verdict.allowed
    async with store.transaction(tenant) as connection:
        found = (await connection.execute(text("select status, started_at from query"))).one()
    assert (found.status, found.started_at is not None) == ("running", True)
