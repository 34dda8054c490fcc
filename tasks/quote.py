"""Say what a batch will take before it starts, from a sample of its questions and from what past answers took."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlmodel import col

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from kowai import quotes
from kowai.errors import NotFound
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.quotes import Quote
from kowai.settings import settings
from kowai.tables.batches import Batch
from tasks.quote_aside import of_checks, of_questions
from tasks.quote_load import asked_of, load_of
from tasks.quote_sums import Load, Sums, of_voice, speakers, total
from tasks.step import step
from tasks.versions import live_versions

BATCH = text(
    "select personas, question_set_id, asked_by, quote, dry_run, approve_above, approved_by, status "
    "from batch where id = :batch"
)
QUESTIONS = text("select text from set_question where question_set_id = :question_set order by ordinal")


class Terms(NamedTuple):
    """Hold what was offered and whether somebody still has to agree to it."""

    quote: Quote
    dry_run: bool
    needs_approval: bool
    ended: bool


@step
async def quote_batch(batch_id: UUID, tenant_id: UUID) -> Terms:
    """Return the batch's terms; its quote is made once, before anything is spent. Raises NotFound."""
    store = await database()
    async with store.transaction(tenant_id) as connection:
        batch = (await connection.execute(BATCH, {"batch": batch_id})).one_or_none()
    if batch is None:
        raise NotFound("There is no such batch.")
    if batch.quote is not None:
        quote = Quote.model_validate(batch.quote)
    else:
        quote = await _quote(batch, tenant_id)
        noted = {"quote": quote.model_dump(mode="json")} | ({"status": "quoted"} if batch.dry_run else {})
        async with store.transaction(tenant_id) as connection:
            await connection.execute(update(Batch).where(col(Batch.id) == batch_id).values(**noted))
    wanted = batch.approved_by is None and quote.needs_approval(batch.approve_above)
    return Terms(quote, batch.dry_run, wanted, batch.status in ("done", "declined"))


@step
async def show_quote(quote: Quote) -> Quote:
    """Leave the quote as an artifact of the run, and return it."""
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown=quote.sentence, key="quote")
    return quote


async def _quote(batch: Any, tenant_id: UUID) -> Quote:
    async with (await database()).transaction(tenant_id) as connection:
        live = await live_versions(connection)
        questions = (await connection.scalars(QUESTIONS, {"question_set": batch.question_set_id})).all()
    model, asked = await language_model(), await asked_of(tenant_id, live, batch.asked_by)
    load = await load_of(questions, asked)
    sums = await asyncio.to_thread(of_answers, load, batch.personas, model)  # counting tokens takes seconds
    return quote_of(len(questions) * len(batch.personas), sums, load, model, speaker=batch.personas[0])


def of_answers(load: Load, names: Sequence[str], model: LanguageModel) -> list[Sums]:
    """Sum all calls by which these personas answer the questions.

    The first target is expected, the dearest that may stand in for it is the worst case.
    """
    aside = of_questions(load, model, len(names))
    if not model.targets:
        return aside
    first = speakers(names[0], load.asked)[0]
    checks = len(names) * [of_checks(load, first, model)]  # what is checked does not depend on who speaks
    return [*(of_voice(name, load, model) for name in names), *checks, *aside]


def quote_of(items: int, sums: Sequence[Sums], load: Load, model: LanguageModel, *, speaker: str) -> Quote:
    """Return what the calls come to; `speaker` is a persona whose first target gives its name to them all."""
    first, output = speakers(speaker, load.asked)[0], sum(one.output for one in sums)
    if model.targets:
        name = model.preferring(first.target).for_role(first.persona.role)[0].name
        seconds = quotes.SECONDS_TO_FIRST_TOKEN + output / items / quotes.TOKENS_A_SECOND
        experience = load.past.output_tokens
    else:
        name, seconds, experience = EXTRACTIVE, quotes.SECONDS_EXTRACTIVE, load.past.seconds
    seconds = seconds if load.past.seconds is None else load.past.seconds
    return Quote(
        items=items,
        prompt_tokens=sum(one.prompt for one in sums),
        output_tokens=output,
        dollars=total([one.dollars for one in sums]),
        worst_tokens=sum(one.worst_tokens for one in sums),
        worst_dollars=total([one.worst for one in sums]),
        minutes=round(items * seconds / min(items, settings().batch_at_once) / 60, 2),
        basis="assumption" if experience is None else "experience",
        model=name,
        left_today=load.left,
    )
