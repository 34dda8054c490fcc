"""Report how a tenant is used, and who comes back."""

from datetime import date

from prefect import flow

from tasks.analytics import report_use
from tasks.tenants import find_tenants, for_each


@flow(name="report-usage", persist_result=False)
async def report_usage(tenant: str | None = None, until: date | None = None) -> None:
    """Show active people, questions, cohorts and retention of the last weeks, as charts in this run's artifacts.

    Args:
        tenant: Whose use it is; empty: every tenant's, an artifact each.
        until: The last UTC day; empty: yesterday.
    """
    await for_each(await find_tenants(tenant), lambda tenant_id: report_use(tenant_id, until))
