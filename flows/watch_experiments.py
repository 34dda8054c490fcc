"""Stop experiments whose candidate has significantly won or lost."""

from typing import Any

from prefect import flow
from prefect.states import Completed

from tasks.experiments import check_experiment, find_running
from tasks.tenants import find_tenants


@flow(name="watch-experiments", persist_result=False)
async def watch_experiments(tenant: str | None = None) -> Any:
    """Look at every running experiment; its interval holds at every look, so that looking often does no harm.

    Args:
        tenant: Whose experiments; empty: every tenant's.
    """
    outcomes = [
        await check_experiment(experiment_id, tenant_id)
        for tenant_id in await find_tenants(tenant)
        for experiment_id in await find_running(tenant_id)
    ]
    ended = sum(outcome is not None for outcome in outcomes)
    return Completed(message=f"{ended:,} of {len(outcomes):,} experiments have ended.")
