"""What a shim takes up when it starts: ingestions that their worker had to leave."""

from uuid import UUID

import structlog

from deployments.shim.ingestions import DEPLOYMENT
from deployments.shim.runs import Runs
from flows.ingest import ingest_stored
from tasks.reconcile import unfinished
from tasks.tenants import find_tenants, for_each

log = structlog.get_logger()


async def resume_ingestions(runs: Runs) -> None:
    """Carry on with them one after the other; what fails is left to the nightly `reconcile`."""

    async def resume(tenant_id: UUID) -> None:
        for ingestion_id in await unfinished(tenant_id):
            await runs.run(ingest_stored, DEPLOYMENT, tenant_id=tenant_id, ingestion_id=ingestion_id)

    try:
        await for_each(await find_tenants(None), resume)
    except Exception as error:
        log.warning("ingestions not resumed", error=repr(error)[:500])
