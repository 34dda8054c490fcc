"""Let a persona learn from a suite: search a better prompt on one half, and let the other half decide."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.states import Completed

from flows.ask import OnePersona
from flows.promote import run_promotion
from flows.run_personas import A_DOLLAR, ApproveAbove, quoted, withheld
from kowai.quotes import Quote
from kowai.suites import Limits
from tasks.approvals import offered
from tasks.optimise import Wish, improve, read_wish, receive_optimisation
from tasks.promote import receive_promotion
from tasks.quote import show_quote
from tasks.quote_optimisation import quote_optimisation
from tasks.receive import find_tenant
from tasks.step import own_run
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
    approve_above: ApproveAbove = A_DOLLAR,
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
        approve_above: Wait for somebody's approval here when it could cost more than this, in US dollars.
    """
    tenant_id = await find_tenant(tenant)
    limits = Limits.model_validate({"dollars": dollars, "minutes": minutes})
    wish = Wish(persona, await find_suite(suite, tenant_id, only_quoted=dry_run), optimiser, limits)
    quote = (await quote_optimisation(wish, tenant_id)).above(approve_above)
    if dry_run:
        return quoted(await show_quote(quote))
    along = offered("optimise", quote)
    return await run_optimisation.fn(await receive_optimisation(wish, tenant_id, own_run(), along=along), tenant_id)


@flow(name="optimise", persist_result=False)
async def run_optimisation(optimisation_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored optimisation; the promotion of what it finds has the same id."""

    async def quote_again() -> Quote:
        return await quote_optimisation(await read_wish(optimisation_id, tenant_id), tenant_id)

    if (end := await withheld([optimisation_id], tenant_id, quote_again)) is not None:
        return end
    found = await improve(optimisation_id, tenant_id)
    if found is None:
        return Completed(name="No gain", message="There is no better prompt: the optimisation says why.")
    await receive_promotion(found.version_id, found.suite_id, tenant_id, optimisation_id, held_out=True)
    return await run_promotion.fn(optimisation_id, tenant_id)
