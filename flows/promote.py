"""Let a version go live only if it answers a suite no worse than what is live."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.states import Completed

from flows.evaluate import carry_out
from flows.reindex import ALLOWED_LOSS, fill, retired_on_failure, switch
from flows.run_personas import A_DOLLAR, ApproveAbove, quoted, withheld
from kowai.errors import EvaluationBroken, SpaceUnready
from kowai.quotes import Quote
from tasks.approvals import offered
from tasks.claim import at_work
from tasks.evaluations import Trial, receive_evaluation
from tasks.give_up import retire_space
from tasks.promote import decide, favours_candidate, read_candidacy, read_candidate, receive_promotion
from tasks.quote import show_quote
from tasks.quote_evaluation import quote_promotion
from tasks.receive import find_all_tenants, find_tenant
from tasks.reindex import begin_space, compare_spaces, drop_spaces
from tasks.spaces import StoredSpace
from tasks.step import own_run
from tasks.suites import find_suite
from tasks.waiting_spaces import report_spaces

UNPAID = (
    "A tenant's budget of today does not last for this vector space: promote again, and it goes on where it stopped."
)


@flow(name="promote", persist_result=False)
async def promote(
    version: UUID,
    suite: str,
    tenant: str = "default",
    *,
    dry_run: bool = False,
    approve_above: ApproveAbove = A_DOLLAR,
) -> Any:
    """Evaluate a candidate and the incumbent on the same suite; end as Promoted, Refused or, when broken, Failed.

    Args:
        version: The id of the version of a persona, prompt, model target, retrieval setting or vector space.
        suite: The name or id of the suite that decides.
        tenant: Whose answers it is for.
        dry_run: Only say how many tokens, dollars and minutes it would take.
        approve_above: Wait for somebody's approval here when it could cost more than this, in US dollars.
    """
    tenant_id = await find_tenant(tenant)
    suite_id = await find_suite(suite, tenant_id, only_quoted=dry_run)
    quote = (await quote_promotion(version, suite_id, tenant_id)).above(approve_above)
    if dry_run:
        return quoted(await show_quote(quote))
    along = offered("promote", quote)
    promotion_id = await receive_promotion(version, suite_id, tenant_id, own_run(), along=along)
    return await run_promotion.fn(promotion_id, tenant_id)


@flow(name="promote", persist_result=False)
async def run_promotion(promotion_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored promotion."""

    async def quote_again() -> Quote:
        return await quote_promotion(*await read_candidate(promotion_id, tenant_id), tenant_id)

    if (end := await withheld([promotion_id], tenant_id, quote_again)) is not None:
        return end
    candidacy, objection = await read_candidacy(promotion_id, tenant_id), None
    if candidacy is not None:
        personas = (candidacy.persona,) if candidacy.persona else ()
        sides = ((candidacy.incumbent_id, candidacy.incumbent), (candidacy.candidate_id, candidacy.candidate))
        async with at_work(), _built(candidacy.embedder) as space:
            for evaluation_id, pins in sides:
                trial = Trial(candidacy.suite_id, personas, pins=pins, held_out=candidacy.held_out)
                await carry_out(await receive_evaluation(trial, tenant_id, evaluation_id), tenant_id)
            if space is not None:
                objection = await _settle(space, promotion_id, tenant_id)
    outcome = await decide(promotion_id, tenant_id, objection)
    if outcome == "broken":
        raise EvaluationBroken("Too few cases came to an answer to compare the candidate with what is live.")
    return Completed(name=outcome.replace("_", " ").capitalize(), message="See the promotion's artifact.")


@asynccontextmanager
async def _built(embedder: str | None) -> AsyncGenerator[StoredSpace | None]:
    """Have the embedder's space, if one is named, filled for all tenants beside the current one, or that one itself."""
    if embedder is None:
        yield None
        return
    space = await begin_space(embedder)
    async with retired_on_failure(space):
        if space.state == "building" and not await fill(await find_all_tenants(), space):
            raise SpaceUnready(UNPAID)
        yield space


async def _settle(space: StoredSpace, promotion_id: UUID, tenant_id: UUID) -> str | None:
    """Switch to the space or give it up; return what speaks against it beside the suite, which is one tenant's."""
    if space.state == "current":
        return None
    tenant_ids = await find_all_tenants()
    finds = await compare_spaces(tenant_ids, space, ALLOWED_LOSS)
    favoured = finds and await favours_candidate(promotion_id, tenant_id)
    if finds is None or (favoured and not await switch(tenant_ids, space)):
        raise SpaceUnready(UNPAID)
    if not favoured:
        await retire_space(space)
    await drop_spaces(tenant_ids)
    await report_spaces()
    return None if finds else "It finds too little of what the stored answers of all tenants cite."
