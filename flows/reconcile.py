"""Mend what crashes and outages have left behind."""

from uuid import UUID

from prefect import flow

from flows.ingest import ingest_stored
from flows.reindex import go_on
from tasks.clear import sweep_repositories
from tasks.decisions import decline_overdue
from tasks.duplicates import compare_documents
from tasks.export_tenant import sweep_exports
from tasks.give_up import abandon_spaces
from tasks.hosting import remove_files
from tasks.receive import find_all_tenants
from tasks.reconcile import mend, mend_vectors, report_reconciliation, unfinished
from tasks.reindex import drop_spaces
from tasks.remove import remove_originals, sweep_bucket
from tasks.retention import retention_of, retire_versions
from tasks.tenants import find_tenants, for_each


@flow(name="reconcile", persist_result=False)
async def reconcile(tenant: str | None = None, keep_versions: int | None = None, keep_days: int | None = None) -> None:
    """Take up abandoned ingestions, give up abandoned vector spaces, embed what has no vector, sweep up, and report.

    A vector space whose building waits for the day's money is built on.

    Args:
        tenant: Whose store is looked after; empty: every tenant's.
        keep_versions: How many versions of a document are kept; empty: as the tenant or KOWAI_KEEP_VERSIONS says.
        keep_days: For how many days a replaced version is kept; empty: as the tenant or KOWAI_KEEP_DAYS says.
    """
    tenants = await find_tenants(tenant)
    await for_each(tenants, lambda tenant_id: _reconcile(tenant_id, keep_versions, keep_days))
    await abandon_spaces()
    await drop_spaces(await find_all_tenants(), unfinished=False)
    if tenant is None:
        await go_on()


async def _reconcile(tenant_id: UUID, keep_versions: int | None, keep_days: int | None) -> None:
    mended = await mend(tenant_id)
    ingestions = await unfinished(tenant_id)
    for ingestion_id in ingestions:
        await ingest_stored.fn(ingestion_id, tenant_id)
    mended["ingestions that nobody worked on"] = len(ingestions)
    mended["chunks that had no vector"] = await mend_vectors(tenant_id)
    mended["approvals that nobody gave in time"] = await decline_overdue(tenant_id)
    mended["documents not yet compared"] = await compare_documents(tenant_id)
    mended["originals of deleted documents"] = await remove_originals(tenant_id)
    await remove_files(tenant_id)
    mended["files that nothing refers to"] = await sweep_bucket(tenant_id)
    mended["repositories that are no source"] = await sweep_repositories(tenant_id)
    mended["exports past their keeping"] = await sweep_exports(tenant_id)
    kept = await retention_of(tenant_id)
    kept_until = {"versions": keep_versions or kept.keep_versions, "days": keep_days or kept.keep_days}
    mended["versions past their keeping"] = await retire_versions(tenant_id, **kept_until)
    await report_reconciliation(mended, tenant_id)
