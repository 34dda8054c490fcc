"""Read dead letters again, once what killed them is mended."""

from collections.abc import Sequence
from uuid import UUID

from prefect import flow

from flows.ingest import ingest_stored
from tasks.receive import find_tenant
from tasks.revive import revive


@flow(name="replay-dead-letters", persist_result=False)
async def replay_dead_letters(ids: Sequence[UUID] = (), causes: Sequence[str] = (), tenant: str = "default") -> None:
    """Queue dead letters again and ingest them; what is still broken is dead again with its cause.

    Args:
        ids: The dead letters to replay.
        causes: Replay all that died of these causes, such as fetch_timeout. Leave both empty to replay every one.
        tenant: Whose documents these are.
    """
    tenant_id = await find_tenant(tenant)
    revival = await revive(tenant_id, ids=ids, causes=causes, every=not ids and not causes)
    for ingestion_id in revival.ingestion_ids:
        await ingest_stored.fn(ingestion_id, tenant_id)
