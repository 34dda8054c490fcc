"""Let a persona learn from a suite: search a better prompt on one half, and let the other half decide."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.ask import OnePersona
from flows.evaluate import quoted
from flows.promote import run_promotion
from kowai.suites import Limits
from tasks.optimise import Wish, improve, receive_optimisation
from tasks.promote import receive_promotion
from tasks.quote import show_quote
from tasks.quote_optimisation import quote_optimisation
from tasks.receive import find_tenant
from tasks.suites import find_suite

DOLLARS, MINUTES = 1.0, 60.0


@flow(name="optimise", persist_result=False)
async def optimise(
    persona: OnePersona,
    suite: str,
    optimiser: str = "bootstrap",
    dollars: float = DOLLARS,
    minutes: float = MINUTES,
    *,
    tenant: str = "default",
    dry_run: bool = False,
) -> Any:
    """Search a better prompt within a budget; end as Promoted, Refused, No gain or, when broken, Failed.

    Args:
        persona: Whose prompt is to become better.
        suite: The name or id of the suite; half of it is learned from, the other half decides.
        optimiser: bootstrap, simba, gepa, or mipro where optuna is installed.
        dollars: What the search may cost in US dollars; deciding is bounded by the suite's own limits.
        minutes: How long the search may take.
        tenant: Whose answers it is for.
        dry_run: Only say how many dollars and minutes it could take.
    """
    tenant_id = await find_tenant(tenant)
    run = FlowRunContext.get()
    own_id = run.flow_run.id if run and run.flow_run else None
    limits = Limits.model_validate({"dollars": dollars, "minutes": minutes})
    wish = Wish(persona, await find_suite(suite, tenant_id), optimiser, limits)
    if dry_run:
        return quoted(await show_quote(await quote_optimisation(wish, tenant_id)))
    return await run_optimisation.fn(await receive_optimisation(wish, tenant_id, own_id), tenant_id)


@flow(name="optimise", persist_result=False)
async def run_optimisation(optimisation_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored optimisation; the promotion of what it finds has the same id."""
    found = await improve(optimisation_id, tenant_id)
    if found is None:
        return Completed(name="No gain", message="No prompt was better than today's: see the optimisation's artifact.")
    await receive_promotion(found.version_id, found.suite_id, tenant_id, optimisation_id, held_out=True)
    return await run_promotion.fn(optimisation_id, tenant_id)
