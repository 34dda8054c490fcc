"""What a quote goes by: who is asked, some of the passages they would read, and what past answers took."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database, embedder, language_model
from blocks.embedder import Embedder
from blocks.price_table import embedding_price
from kowai import quotes
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.masking import Masking
from kowai.personas import personas
from kowai.quoting import quoted_passages
from kowai.types import Preferences, Value
from tasks.policy import policy_of
from tasks.preferences import read_preferences
from tasks.quote_sums import Asked, Embedders, Load, Past, Purse, fenced
from tasks.retrieve import find_passages
from tasks.spaces import current_embedder
from tasks.versions import answering_by

SAMPLE = 10

# With what fences and headers in a passage become when it is quoted.
LONGEST = text("""
select replace(replace(text, '<', '‹'), '[[', '[ [') as told from chunk
where tenant_id = :tenant order by octet_length(replace(replace(text, '<', '‹'), '[[', '[ [')) desc limit :passages
""")
PURSE = text("""
select greatest(0, coalesce(max(b.daily_limit), :default) - coalesce(max(s.reserved + s.spent), 0)) as left_today,
  max(b.approve_above) as approve_above
from (select :tenant as tenant_id) t left join budget b using (tenant_id)
left join spend s on s.tenant_id = t.tenant_id and s.day = (now() at time zone 'utc')::date
""")
PAST = text("""
select count(*) as answers, avg((a.usage->>'completion_tokens')::numeric) as output_tokens,
  avg(extract(epoch from q.finished_at - q.started_at)) as seconds
from (
  select query_id, usage from answer where tenant_id = :tenant and (model = :extractive) = :is_extractive
  order by created_at desc limit 200
) a join query q on q.id = a.query_id
""")


async def asked_of(
    tenant_id: UUID,
    versions: Mapping[str, UUID],
    asked_by: UUID | None = None,
    drafts: Mapping[str, Value] | None = None,
) -> Asked:
    """Return what the versions and drafts, by slot, make of every persona, and how the asker likes to be answered."""
    preferences = await read_preferences(tenant_id, asked_by) if asked_by else Preferences()
    speaking = {name: await answering_by(name, versions, tenant_id, drafts) for name in personas()}
    return Asked(tenant_id, speaking, preferences)


async def load_of(questions: Sequence[str], asked: Asked, *, most_passages: int = 0) -> Load:
    """Return the questions with the passages of some, and the longest that retrieval could ever bring to one."""
    model, tenant_id = await language_model(), asked.tenant_id
    k = max(each.retrieval.passages for each in asked.personas.values())
    most = max([k, most_passages, *(reranker.candidates for reranker in model.rerankers)])
    values: dict[str, Any] = {"tenant": tenant_id, "passages": most, "default": model.daily_limit}
    values |= {"extractive": EXTRACTIVE, "is_extractive": not model.targets}
    async with (await database()).transaction(tenant_id) as connection:
        longest = list(await connection.scalars(LONGEST, values))
        past = await _past(connection, values)
        purse = await _purse(connection, values)
    embedders = await _embedders(asked)
    sampled = await _sampled(questions, asked, k, longest) if model.targets else []
    load = Load(asked, list(questions), sampled, longest, past, purse, embedders)
    return await asyncio.to_thread(_masked, load) if (await policy_of(tenant_id)).masks_prompts else load


async def _embedders(asked: Asked) -> Embedders:
    """Return the embedders that are paid; the space that questions are searched in is the same for all personas."""
    on_trial = next(iter(asked.personas.values())).embedder
    searching = await embedder(on_trial or await current_embedder())
    return Embedders(_paid(searching), _paid(await embedder()))


def _paid(block: Embedder) -> Embedder | None:
    """Return a block that may cost something; what has no price and may not be asked without costs nothing."""
    price = embedding_price(block)
    return None if price == 0 or (price is None and not block.allow_unknown_price) else block


async def purse_of(tenant_id: UUID) -> Purse:
    """Return what the tenant may still spend on this UTC day, and from where on somebody has to agree."""
    values = {"tenant": tenant_id, "default": (await language_model()).daily_limit}
    async with (await database()).transaction(tenant_id) as connection:
        return await _purse(connection, values)


async def _purse(connection: AsyncConnection, values: dict[str, Any]) -> Purse:
    return Purse(*(await connection.execute(PURSE, values)).one())


async def _sampled(questions: Sequence[str], asked: Asked, k: int, longest: Sequence[str]) -> list[str]:
    """Return what some of the questions find; where looking costs something, the longest passages stand for it."""
    if embedding_price(await embedder(await current_embedder())) != 0:
        return [fenced(longest[:k])]
    sample = questions[:: max(1, len(questions) // SAMPLE)][:SAMPLE]
    found = [await find_passages(question, asked.tenant_id, k=k, filters={}) for question in sample]
    return [quoted_passages(passages) for passages in found]


def _masked(load: Load) -> Load:
    """Return the same as models get it where personal data is masked: masks may be longer than what they stand for."""
    masking = Masking()
    questions, longest = [[masking.mask(each) for each in texts] for texts in (load.questions, load.longest)]
    return load._replace(questions=questions, longest=longest)


async def _past(connection: AsyncConnection, values: dict[str, Any]) -> Past:
    answers, *averages = (await connection.execute(PAST, values)).one()
    known = [None if average is None else float(average) for average in averages]
    return Past(*known) if answers >= quotes.EXPERIENCE else Past(None, None)
