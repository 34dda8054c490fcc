"""Ask many questions of several personas and compare what they say."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.context import FlowRunContext
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from prefect.states import Completed
from pydantic import Field

from flows.answer import answer_query
from flows.ask import PersonaName
from kowai.question_sets import read_rows
from kowai.quotes import Quote
from kowai.settings import settings
from tasks.approvals import await_approval, offered, read_terms, renew_terms
from tasks.batches import Order, begin_batch, read_order, receive_batch
from tasks.compare import report_batch
from tasks.decisions import FORM, NOT_APPROVED, UNDECIDED, Decision, clear_form, decide_on
from tasks.question_sets import find_question_set, receive_question_set
from tasks.quote import quote_batch, show_quote
from tasks.receive import find_tenant
from tasks.step import own_run
from tasks.turns import claim_item, close_item, held

ApproveAbove = Annotated[Decimal, Field(ge=0)]
A_DOLLAR = Decimal(1)


class Approval(RunInput):
    """Decide whether this may spend what its quote says."""

    approve: bool = Field(default=False, description="Switch on to let it begin; off declines it.")
    reason: str = Field(default="", description="Why not; whatever is refused then says so. Not kept here.")
    decided_by: str = Field(default="somebody in Prefect", description="Who decides.")


@flow(name="run-personas", persist_result=False)
async def run_personas(
    personas: list[PersonaName],
    questions: Annotated[list[str], Field(max_length=50_000)] = [],  # noqa: B006 -- becomes the form's default
    question_set: str = "",
    tenant: str = "default",
    *,
    dry_run: bool = False,
    approve_above: ApproveAbove = A_DOLLAR,
) -> Any:
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
    own_id = own_run()  # a run that is started again is the same batch
    if questions:
        set_id = await receive_question_set("typed in", read_rows(questions).questions, tenant_id, own_id)
    else:
        set_id = await find_question_set(question_set, tenant_id)
    order = Order(set_id, personas, dry_run)
    quote = (await quote_batch(order, tenant_id)).above(approve_above)
    along = offered("run-personas", quote, dry_run=dry_run)
    batch_id = await receive_batch(order, tenant_id, own_id, along=along)
    return await run_batch.fn(batch_id, tenant_id) or batch_id


@flow(name="run-personas", persist_result=False)
async def run_batch(batch_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored batch: wait for approval if it is dear, answer item by item, compare."""

    async def quote_again() -> Quote:
        return await quote_batch(await read_order(batch_id, tenant_id), tenant_id)

    end = await withheld([batch_id], tenant_id, quote_again)
    if end is not None or not await begin_batch(batch_id, tenant_id):
        return end
    async with asyncio.TaskGroup() as group:
        for _ in range(settings().batch_at_once):
            group.create_task(_work_through(batch_id, tenant_id))
    await report_batch(batch_id, tenant_id)


async def _work_through(batch_id: UUID, tenant_id: UUID) -> None:
    while item_id := await claim_item(batch_id, tenant_id):
        async with held(item_id, tenant_id):
            with suppress(Exception):  # recorded with the question, whose end is the item's; the others go on
                await answer_query.fn(item_id, tenant_id)
        await close_item(item_id, tenant_id)


def quoted(quote: Quote) -> Any:
    """Return the state of a run that only said what it would take."""
    return Completed(name="Quoted", message=quote.sentence)


async def withheld(ids: Sequence[UUID], tenant_id: UUID, quote_again: Callable[[], Awaitable[Quote]]) -> Any:
    """Wait until somebody decides on what could be dear; return the state of a run that may not begin, else None.

    What was quoted without a model is quoted again where there is one by now.
    """
    terms = await read_terms(ids[0], tenant_id)
    if terms is not None and terms.outdated:
        await renew_terms(ids, (await quote_again()).above(terms.quote.approve_above), tenant_id)
        terms = await read_terms(ids[0], tenant_id)
    if terms is None:
        return None
    await show_quote(terms.quote)
    if terms.state == "waiting":
        await await_approval(ids, tenant_id)
        if FlowRunContext.get() is None:
            return Completed(name="Waiting", message="Outside Prefect there is nobody to ask.")
        filled = await _ask(terms.quote)
        await decide_on(ids, tenant_id, Decision(filled.approve, filled.decided_by, filled.reason))
        await clear_form()
        terms = await read_terms(ids[0], tenant_id) or terms
    if terms.state == "declined":
        return Completed(name="Declined", message=UNDECIDED if terms.reason == UNDECIDED else NOT_APPROVED)
    return quoted(terms.quote) if terms.state == "quoted" else None


async def _ask(quote: Quote) -> Approval:
    """Suspend the run, which frees its worker, until the form is filled in."""
    form = Approval.with_initial_data(description=quote.sentence)
    return await asuspend_flow_run(wait_for_input=form, key=FORM)
