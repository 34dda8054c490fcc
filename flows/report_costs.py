"""Report what a day's model calls cost."""

from datetime import date

from prefect import flow

from tasks.costs import report_day
from tasks.tenants import find_tenants, for_each


@flow(name="report-costs", persist_result=False)
async def report_costs(tenant: str | None = None, day: date | None = None) -> None:
    """Sum up a day's model calls by persona, model, flow and document source, as a table in this run's artifacts.

    Args:
        tenant: Whose costs these are; empty: every tenant's, an artifact each.
        day: The UTC day to report; empty: yesterday.
    """
    await for_each(await find_tenants(tenant), lambda tenant_id: report_day(tenant_id, day))
