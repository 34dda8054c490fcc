"""How far an ingestion is, as a progress bar of its Prefect run."""

from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.context import FlowRunContext

from blocks.connections import database
from tasks.report import count_items
from tasks.step import patient_step


async def begin_progress(ingestion_id: UUID) -> UUID | None:
    """Show an empty progress bar and return its artifact's id; None where there is no Prefect run to show it."""
    if FlowRunContext.get() is None:
        return None
    description = f"Ingestion {ingestion_id}: documents that have ended somewhere, in per cent of those accepted."
    return await acreate_progress_artifact(key="ingestion-progress", progress=0.0, description=description)


@patient_step
async def show_progress(artifact_id: UUID, ingestion_id: UUID, tenant_id: UUID) -> None:
    """Bring the progress bar up to date."""
    async with (await database()).transaction(tenant_id) as connection:
        counts = await count_items(connection, ingestion_id)
    ended = counts.accepted - counts.in_progress
    await aupdate_progress_artifact(artifact_id, progress=100.0 * ended / max(1, counts.accepted))
