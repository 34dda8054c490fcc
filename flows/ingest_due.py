"""Walk every source that is due."""

from uuid import UUID

from prefect import flow

from flows.ingest import ingest_stored
from tasks.sources import take_due
from tasks.tenants import find_tenants, for_each


@flow(name="ingest-due", persist_result=False)
async def ingest_due(tenant: str | None = None) -> None:
    """Read again every source whose schedule says so; one without a schedule of its own is due at two at night, UTC.

    Args:
        tenant: Whose sources are walked; empty: every tenant's.
    """
    await for_each(await find_tenants(tenant), _walk_due)


async def _walk_due(tenant_id: UUID) -> None:
    ingestion_id = await take_due(tenant_id)
    if ingestion_id is not None:
        await ingest_stored.fn(ingestion_id, tenant_id)
