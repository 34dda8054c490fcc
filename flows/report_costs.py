"""Report what a day's model calls cost."""

from datetime import date

from prefect import flow

from tasks.costs import report_day
from tasks.receive import find_tenant


@flow(name="report-costs", persist_result=False)
async def report_costs(tenant: str = "default", day: date | None = None) -> None:
    """Sum up a day's model calls by persona, model, flow and document source, as a table in this run's artifacts.

    Args:
        tenant: Whose costs these are.
        day: The UTC day to report; empty: yesterday.
    """
    await report_day(await find_tenant(tenant), day)
