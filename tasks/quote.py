"""Say what a batch will take before it starts, from a sample of its questions and from what past answers took."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from kowai import quotes
from kowai.errors import NotFound
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.masking import Masking
from kowai.personas import personas
from kowai.quotes import Quote
from kowai.quoting import quoted_passages
from kowai.settings import settings
from kowai.tables.batches import Batch
from kowai.types import Preferences
from tasks.policy import policy_of
from tasks.preferences import read_preferences
from tasks.quote_aside import of_checks, of_questions
from tasks.quote_sums import Asked, Load, Past, Sums, of_voice, speakers, total
from tasks.retrieve import find_passages
from tasks.step import step
from tasks.versions import answering_by, live_versions

SAMPLE = 10

BATCH = text(
    "select personas, question_set_id, asked_by, quote, dry_run, approve_above, approved_by, status "
    "from batch where id = :batch"
)
QUESTIONS = text("select text from set_question where question_set_id = :question_set order by ordinal")
# With what fences and headers in a passage become when it is quoted.
LONGEST = text("""
select replace(replace(text, '<', '‹'), '[[', '[ [') as told from chunk
where tenant_id = :tenant order by octet_length(replace(replace(text, '<', '‹'), '[[', '[ [')) desc limit :passages
""")
LEFT = text("""
select coalesce((select daily_limit from budget where tenant_id = :tenant), :default)
  - coalesce((select reserved + spent from spend
    where tenant_id = :tenant and day = (now() at time zone 'utc')::date), 0)
""")
PAST = text("""
select count(*) as answers, avg((a.usage->>'completion_tokens')::numeric) as output_tokens,
  avg(extract(epoch from q.finished_at - q.started_at)) as seconds
from (
  select query_id, usage from answer where tenant_id = :tenant and (model = :extractive) = :is_extractive
  order by created_at desc limit 200
) a join query q on q.id = a.query_id
""")


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
async def show_quote(quote: Quote) -> None:
    """Leave the quote as an artifact of the run."""
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown=quote.sentence, key="quote")


async def _quote(batch: Any, tenant_id: UUID) -> Quote:
    model = await language_model()
    asked = await _asked(batch.asked_by, tenant_id)
    load = await _load(batch.question_set_id, asked, model)
    if not model.targets:
        return _extractive(load, len(batch.personas), model)
    return await asyncio.to_thread(_written, load, batch.personas, model)  # counting tokens takes seconds


async def _asked(asked_by: UUID | None, tenant_id: UUID) -> Asked:
    async with (await database()).transaction(tenant_id) as connection:
        live = await live_versions(connection)
    preferences = await read_preferences(tenant_id, asked_by) if asked_by else Preferences()
    speaking = {name: await answering_by(name, live, tenant_id) for name in personas()}
    return Asked(tenant_id, speaking, preferences)


async def _load(question_set_id: UUID, asked: Asked, model: LanguageModel) -> Load:
    tenant_id, k = asked.tenant_id, max(each.retrieval.passages for each in asked.personas.values())
    most = max([k, *(reranker.candidates for reranker in model.rerankers)])
    values: dict[str, Any] = {"tenant": tenant_id, "question_set": question_set_id, "passages": most}
    values |= {"default": model.daily_limit, "extractive": EXTRACTIVE, "is_extractive": not model.targets}
    async with (await database()).transaction(tenant_id) as connection:
        questions = await _texts(connection, QUESTIONS, values)
        longest = await _texts(connection, LONGEST, values)
        past = await _past(connection, values)
        left = await connection.scalar(LEFT, values)
    sample = questions[:: max(1, len(questions) // SAMPLE)][:SAMPLE] if model.targets else []
    found = [await find_passages(question, tenant_id, k=k, filters={}) for question in sample]
    sampled = [quoted_passages(passages) for passages in found]
    load = Load(asked, questions, sampled, longest, past, max(left or Decimal(0), Decimal(0)))
    return await asyncio.to_thread(_masked, load) if (await policy_of(tenant_id)).masks_prompts else load


def _masked(load: Load) -> Load:
    """Return the same as models get it where personal data is masked: masks may be longer than what they stand for."""
    masking = Masking()
    questions, longest = [[masking.mask(each) for each in texts] for texts in (load.questions, load.longest)]
    return load._replace(questions=questions, longest=longest)


async def _past(connection: AsyncConnection, values: dict[str, Any]) -> Past:
    answers, *averages = (await connection.execute(PAST, values)).one()
    known = [None if average is None else float(average) for average in averages]
    return Past(*known) if answers >= quotes.EXPERIENCE else Past(None, None)


async def _texts(connection: AsyncConnection, statement: Any, values: dict[str, Any]) -> list[str]:
    return list(await connection.scalars(statement, values))


def _extractive(load: Load, voices: int, model: LanguageModel) -> Quote:
    seconds = quotes.SECONDS_EXTRACTIVE if load.past.seconds is None else load.past.seconds
    items, sums = len(load.questions) * voices, of_questions(load, model, voices)
    return Quote(
        items=items,
        minutes=_minutes(items, seconds),
        basis="assumption" if load.past.seconds is None else "experience",
        model=EXTRACTIVE,
        left_today=load.left,
        **_amounts(sums),
    )


def _amounts(sums: Sequence[Sums]) -> dict[str, Any]:
    return {
        "prompt_tokens": sum(one.prompt for one in sums),
        "output_tokens": sum(one.output for one in sums),
        "dollars": total([one.dollars for one in sums]),
        "worst_tokens": sum(one.worst_tokens for one in sums),
        "worst_dollars": total([one.worst for one in sums]),
    }


def _minutes(items: int, seconds: float) -> float:
    return round(items * seconds / min(items, settings().batch_at_once) / 60, 2)


def _written(load: Load, names: Sequence[str], model: LanguageModel) -> Quote:
    """Sum over personas: the first target is expected, the dearest that may stand in for it is the worst case."""
    sums = [of_voice(name, load, model) for name in names]
    first = speakers(names[0], load.asked)[0]
    items, output = len(load.questions) * len(names), sum(one.output for one in sums)
    checks = len(names) * [of_checks(load, first, model)]  # what is checked does not depend on who speaks
    assumed = quotes.SECONDS_TO_FIRST_TOKEN + output / items / quotes.TOKENS_A_SECOND
    return Quote(
        items=items,
        minutes=_minutes(items, assumed if load.past.seconds is None else load.past.seconds),
        basis="assumption" if load.past.output_tokens is None else "experience",
        model=model.preferring(first.target).for_role(first.persona.role)[0].name,
        left_today=load.left,
        **_amounts([*sums, *checks, *of_questions(load, model, len(names))]),
    )
