"""Learn documents: every accepted one ends indexed, unchanged, or quarantined or dead with a cause."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from prefect import flow

from kowai.batching import FIRST, batch_of, portions
from kowai.errors import KowaiError, NotFound
from tasks.accept import accept
from tasks.bury import bury
from tasks.claim import Item, at_work, claim
from tasks.duplicates import compare_documents
from tasks.embed import embed_chunks
from tasks.forget import forget
from tasks.index import index
from tasks.inspect import inspect_documents
from tasks.progress import begin_progress, show_progress
from tasks.read import Reading, read
from tasks.receive import find_tenant, receive_ingestion
from tasks.remove import remove_originals
from tasks.report import report_ingestion
from tasks.revive import settle_letters
from tasks.sources import remember, remembered_sources
from tasks.walks import close_walks, find_vanished

AT_ONCE = 3  # while two wait for the database or a disk, the third keeps the embedder busy


@flow(name="ingest-documents", persist_result=False)
async def ingest_documents(sources: Sequence[str] = (), tenant: str = "default") -> None:
    """Read documents and make them searchable; what is unchanged costs nothing, what fails is listed with its cause.

    Args:
        sources: Folders, globs, files or URLs to read. Leave empty to read again everything ever ingested.
        tenant: Whose documents these are.
    """
    tenant_id = await find_tenant(tenant)
    if sources:
        await remember(sources, tenant_id)
    uris = sources or await remembered_sources(tenant_id)
    ingestion_id = await receive_ingestion([{"uri": uri} for uri in uris], tenant_id)
    await ingest_stored.fn(ingestion_id, tenant_id)


@flow(name="ingest-stored", persist_result=False)
async def ingest_stored(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Carry out a stored ingestion: accept; read, inspect, embed, index by batches; let go what vanished; report."""
    await accept(ingestion_id, tenant_id)
    bar = await begin_progress(ingestion_id)
    async with at_work(), asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_work_through(ingestion_id, tenant_id, bar))
    if bar:
        await show_progress(bar, ingestion_id, tenant_id)
    await settle_letters(ingestion_id, tenant_id)
    await _let_go(ingestion_id, tenant_id)
    await report_ingestion(ingestion_id, tenant_id)
    await compare_documents(tenant_id, ingestion_id)


async def _work_through(ingestion_id: UUID, tenant_id: UUID, bar: UUID | None) -> None:
    size = FIRST
    while items := await claim(ingestion_id, tenant_id, size):
        try:
            readings = await read(items, tenant_id)
            chunks = [len(reading.chunks) for reading in readings]
            for portion in portions(chunks):
                await _make_findable(items[portion], readings[portion], tenant_id)
            size = batch_of(chunks)
            await compare_documents(tenant_id, items=[item.id for item in items])
        except KowaiError as error:
            await bury(items, error, tenant_id)
        if bar:
            await show_progress(bar, ingestion_id, tenant_id)


async def _make_findable(items: Sequence[Item], readings: Sequence[Reading], tenant_id: UUID) -> None:
    try:
        readings = await inspect_documents(readings, tenant_id)
        while not await index(readings, await embed_chunks(readings, tenant_id), tenant_id):
            pass  # the vector space was switched meanwhile
    except KowaiError as error:
        await bury(items, error, tenant_id)


async def _let_go(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Remove or mark what its source does not hold any more, as the source wants it."""
    vanished = await find_vanished(ingestion_id, tenant_id)
    for name in vanished:
        with suppress(NotFound):
            await forget(name, tenant_id, vanished=True)
    await remove_originals(tenant_id)
    await close_walks(ingestion_id, tenant_id)
