"""Ask many questions of several personas and compare what they say."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from prefect import flow
from prefect.context import FlowRunContext
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows.answer import answer_query
from flows.ask import PersonaName
from kowai.question_sets import read_rows
from kowai.quotes import Quote
from kowai.settings import settings
from tasks.batches import Order, approve, await_approval, decline, receive_batch
from tasks.compare import report_batch
from tasks.question_sets import find_question_set, receive_question_set
from tasks.quote import quote_batch, show_quote
from tasks.receive import find_tenant
from tasks.turns import claim_item, close_item, held

UNASKED = "within the threshold"


class Approval(RunInput):
    """Decide whether the batch may spend what its quote says."""

    approve: bool = Field(default=False, description="Switch on to let the batch begin; off declines it.")
    reason: str = Field(default="", description="Why not; every item is then refused with this sentence.")
    decided_by: str = Field(default="somebody in Prefect", description="Who decides.")


@flow(name="run-personas", persist_result=False)
async def run_personas(
    personas: list[PersonaName],
    questions: Annotated[list[str], Field(max_length=50_000)] = [],  # noqa: B006 -- becomes the form's default
    question_set: str = "",
    tenant: str = "default",
    *,
    dry_run: bool = False,
    approve_above: Annotated[Decimal, Field(ge=0)] = Decimal(1),
) -> UUID:
    """Ask every question of every persona; answers come as one table, side by side, with confidence and cost.

    Args:
        personas: Who answers; each question goes to each of them.
        questions: What to ask, a question a line. Leave empty to ask a stored set.
        question_set: The name or id of a stored set of questions; used when none are typed above.
        tenant: Whose documents answer.
        dry_run: Only say how many tokens, dollars and minutes it would take.
        approve_above: Wait for somebody's approval here when it could cost more than this, in US dollars.
    """
    tenant_id = await find_tenant(tenant)
    run = FlowRunContext.get()
    own_id = run.flow_run.id if run and run.flow_run else None  # a run that is started again is the same batch
    if questions:
        set_id = await receive_question_set("typed in", read_rows(questions).questions, tenant_id, own_id)
    else:
        set_id = await find_question_set(question_set, tenant_id)
    order = Order(set_id, personas, dry_run, approve_above)
    batch_id = await receive_batch(order, tenant_id, own_id)
    await run_batch.fn(batch_id, tenant_id)
    return batch_id


@flow(name="run-personas", persist_result=False)
async def run_batch(batch_id: UUID, tenant_id: UUID) -> None:
    """Carry out a stored batch: quote, wait for approval if it is dear, answer item by item, compare."""
    terms = await quote_batch(batch_id, tenant_id)
    await show_quote(terms.quote)
    if terms.dry_run or terms.ended:
        return
    if terms.needs_approval:
        await await_approval(batch_id, tenant_id)
        approval = await _ask_approval(terms.quote)
        if approval is None:
            return
        if not approval.approve:
            return await decline(batch_id, tenant_id, approval.reason)
        await approve(batch_id, tenant_id, approval.decided_by)
    else:
        await approve(batch_id, tenant_id, UNASKED)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(settings().batch_at_once, terms.quote.items)):
            group.create_task(_work_through(batch_id, tenant_id))
    await report_batch(batch_id, tenant_id)


async def _ask_approval(quote: Quote) -> Approval | None:
    """Suspend the run, which frees its worker, until the form is filled in; outside Prefect there is nobody to ask."""
    if FlowRunContext.get() is None:
        return None
    form = Approval.with_initial_data(description=quote.sentence)
    return await asuspend_flow_run(wait_for_input=form, key="approval")


async def _work_through(batch_id: UUID, tenant_id: UUID) -> None:
    while item_id := await claim_item(batch_id, tenant_id):
        async with held(item_id, tenant_id):
            with suppress(Exception):  # recorded with the question, whose end is the item's; the others go on
                await answer_query.fn(item_id, tenant_id)
        await close_item(item_id, tenant_id)
