"""Evaluate personas on a suite: answer and measure case by case, then compare with the last accepted evaluation."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

from prefect import flow
from prefect.states import Completed

from flows.answer import answer_query
from flows.ask import PersonaName
from flows.run_personas import A_DOLLAR, ApproveAbove, quoted, withheld
from kowai.errors import EvaluationBroken
from kowai.quotes import Quote
from kowai.settings import settings
from tasks.approvals import offer, offered, offered_by_run
from tasks.conclude import conclude_evaluation
from tasks.evaluations import Trial, bury_item, read_trials, receive_evaluation
from tasks.measure import measure
from tasks.quote import show_quote
from tasks.quote_evaluation import quote_evaluations
from tasks.receive import find_tenant
from tasks.step import own_run
from tasks.suites import find_suite, newest_suites
from tasks.turns import claim_item, close_item, held

REGRESSED = "Regressed"  # a state of the type Completed: the run did its work, and what it found is bad news


@flow(name="evaluate", persist_result=False)
async def evaluate(
    suite: str = "",
    personas: list[PersonaName] = [],  # noqa: B006 -- becomes the form's default
    tenant: str = "default",
    *,
    judged: bool = True,
    candidates: list[UUID] = [],  # noqa: B006 -- becomes the form's default
    dry_run: bool = False,
    approve_above: ApproveAbove = A_DOLLAR,
) -> Any:
    """Ask the questions of a suite, measure the answers, and end as Completed, Regressed or, when broken, Failed.

    Args:
        suite: The name or id of a suite; empty: the newest version of every suite the tenant has stored.
        personas: Who answers; empty: whom the suite names.
        tenant: Whose documents answer.
        candidates: Versions of settings, each evaluated by itself in place of what is live; empty: what is live.
        judged: Also let the model of the role judge rate each answer, if a target of the language model names it.
        dry_run: Only say how many tokens, dollars and minutes it would take.
        approve_above: Wait for somebody's approval here when it could cost more than this, in US dollars.
    """
    tenant_id = await find_tenant(tenant)
    begun = await offered_by_run(tenant_id)  # started again it evaluates the same, whatever is newest
    if not begun:
        suites = [await find_suite(suite, tenant_id, only_quoted=dry_run)] if suite else await newest_suites(tenant_id)
        trials = [
            Trial(suite_id, personas, judged, versions=[candidate] if candidate else [])
            for suite_id in suites
            for candidate in candidates or [None]
        ]
        if not trials:
            return ending([])
        quote = (await quote_evaluations(trials, tenant_id)).above(approve_above)
        if dry_run:
            return quoted(await show_quote(quote))
        begun = [await receive_evaluation(trial, tenant_id, _own_id(trial)) for trial in trials]
        await offer(begun, offered("evaluate", quote), tenant_id)
    return await _evaluate(begun, tenant_id)


@flow(name="evaluate", persist_result=False)
async def run_evaluation(evaluation_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored evaluation."""
    return await _evaluate([evaluation_id], tenant_id)


async def _evaluate(evaluation_ids: Sequence[UUID], tenant_id: UUID) -> Any:
    async def quote_again() -> Quote:
        return await quote_evaluations(await read_trials(evaluation_ids, tenant_id), tenant_id)

    end = await withheld(evaluation_ids, tenant_id, quote_again)
    return end or ending([await carry_out(evaluation_id, tenant_id) for evaluation_id in evaluation_ids])


def _own_id(trial: Trial) -> UUID | None:
    """Return the same id for a trial whenever its run is started again."""
    run_id = own_run()
    return uuid5(run_id, " ".join(map(str, (trial.suite_id, *trial.versions)))) if run_id else None


async def carry_out(evaluation_id: UUID, tenant_id: UUID) -> str:
    """Answer and measure what is left of an evaluation, close it and return its outcome."""
    async with asyncio.TaskGroup() as group:
        for _ in range(settings().batch_at_once):
            group.create_task(_work_through(evaluation_id, tenant_id))
    return (await conclude_evaluation(evaluation_id, tenant_id)).outcome


async def _work_through(evaluation_id: UUID, tenant_id: UUID) -> None:
    while item_id := await claim_item(evaluation_id, tenant_id):
        async with held(item_id, tenant_id):
            with suppress(Exception):  # recorded with the question, whose end is the item's; the others go on
                await answer_query.fn(item_id, tenant_id)
            try:
                await measure(item_id, tenant_id)
            except Exception as error:
                await bury_item(item_id, tenant_id, error)
        await close_item(item_id, tenant_id)


def ending(outcomes: list[str]) -> Any:
    """Return the run's state, the worst of its evaluations. Raises EvaluationBroken."""
    if "broken" in outcomes:
        raise EvaluationBroken("Too few cases came to an answer for the evaluation to say anything: see its report.")
    if "regressed" in outcomes:
        return Completed(name=REGRESSED, message="A metric fell by more than its margin: see the report.")
    return Completed(message=f"{len(outcomes):,} evaluations passed." if outcomes else "There is no suite to evaluate.")
