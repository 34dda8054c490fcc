"""Whether a batch with limits may begin one more item."""

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from kowai.allowance import Start, Taken, may_start
from kowai.suites import Limits

# What an item may have cost at the worst counts, not only what it did: the next one may be as unlucky.
TAKEN = text("""
with call as (
  select query_id, sum(coalesce(charged, 0)) as charged, sum(greatest(reserved, coalesce(charged, 0))) as worst,
    sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)) as tokens
  from model_call where state <> 'released' and query_id in (select id from batch_item where batch_id = :batch)
  group by query_id
)
select (select count(*) from batch_item where batch_id = :batch and state = 'running') as running,
  (select coalesce(extract(epoch from now() - min(q.created_at)) / 60, 0) from query q
    where q.id in (select id from batch_item where batch_id = :batch)) as minutes,
  coalesce(sum(tokens), 0) as tokens, coalesce(sum(charged), 0) as dollars,
  coalesce(max(tokens), 0) as tokens_each, coalesce(max(worst), 0) as dollars_each from call
""")
REFUSE = text("""
update batch_item set state = 'refused', cause = 'limit_reached', sentence = 'A limit of the evaluation was reached.'
where batch_id = :batch and state = 'queued'
""")


async def allowed(connection: AsyncConnection, batch_id: UUID, limits: dict[str, Any]) -> Start:
    """Say whether one more item may begin; when no more may, what is queued is refused in this transaction."""
    if not limits:
        return "go"
    row = (await connection.execute(TAKEN, {"batch": batch_id})).one()
    each = (int(row.running), int(row.tokens_each), row.dollars_each)
    start = may_start(Limits.model_validate(limits), Taken(int(row.tokens), row.dollars, float(row.minutes), *each))
    if start == "stop":
        await connection.execute(REFUSE, {"batch": batch_id})
    return start
