"""Let a version go live only if it answers a suite no worse than what is live."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.context import FlowRunContext
from prefect.states import Completed

from flows.evaluate import carry_out
from kowai.errors import EvaluationBroken
from tasks.evaluations import Trial, receive_evaluation
from tasks.promote import decide, read_candidacy, receive_promotion
from tasks.receive import find_tenant
from tasks.suites import find_suite


@flow(name="promote", persist_result=False)
async def promote(version: UUID, suite: str, tenant: str = "default") -> Any:
    """Evaluate a candidate and the incumbent on the same suite; end as Promoted, Refused or, when broken, Failed.

    Args:
        version: The id of the version of a persona, prompt, model target or retrieval setting.
        suite: The name or id of the suite that decides.
        tenant: Whose answers it is for.
    """
    tenant_id = await find_tenant(tenant)
    run = FlowRunContext.get()
    own_id = run.flow_run.id if run and run.flow_run else None
    promotion_id = await receive_promotion(version, await find_suite(suite, tenant_id), tenant_id, own_id)
    return await run_promotion.fn(promotion_id, tenant_id)


@flow(name="promote", persist_result=False)
async def run_promotion(promotion_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored promotion."""
    candidacy = await read_candidacy(promotion_id, tenant_id)
    if candidacy is not None:
        personas = (candidacy.persona,) if candidacy.persona else ()
        sides = ((candidacy.incumbent_id, candidacy.incumbent), (candidacy.candidate_id, candidacy.candidate))
        for evaluation_id, pins in sides:
            trial = Trial(candidacy.suite_id, personas, pins=pins, held_out=candidacy.held_out)
            await carry_out(await receive_evaluation(trial, tenant_id, evaluation_id), tenant_id)
    outcome = await decide(promotion_id, tenant_id)
    if outcome == "broken":
        raise EvaluationBroken("Too few cases came to an answer to compare the candidate with what is live.")
    return Completed(name=outcome.replace("_", " ").capitalize(), message="See the promotion's artifact.")
