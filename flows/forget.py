"""Delete a document and everything that quotes it."""

from prefect import flow

from tasks.forget import forget
from tasks.receive import find_tenant
from tasks.remove import remove_originals


@flow(name="forget-document", persist_result=False)
async def forget_document(external_id: str, tenant: str = "default") -> None:
    """Delete a document in whatever state it is, all that quotes it and its original; a certificate stays.

    Args:
        external_id: The name the document is known by: its path, URL, file name or `_id`.
        tenant: Whose document it is.
    """
    tenant_id = await find_tenant(tenant)
    await forget(external_id, tenant_id)
    await remove_originals(tenant_id)
