"""Look at all tenants together, for whoever runs the platform: sums only, nobody's name and nobody's words."""

from collections import Counter
from typing import NamedTuple

from sqlalchemy import select, text
from sqlmodel import col

from blocks.connections import database
from kowai.tables.identity import Tenant
from kowai.tenancy import ENTER

QUEUES = text("""
select
  (select count(*) from ingestion_item where state in ('queued', 'running')) as documents,
  (select count(*) from ingestion_item where state = 'dead') as dead_letters,
  (select count(*) from batch_item i join batch b on b.id = i.batch_id
   where b.status not in ('done', 'declined') and i.state in ('queued', 'running')) as batch_items,
  (select count(*) from query where created_at >= now() - interval '1 day' and status in ('queued', 'running'))
    as questions,
  (select count(*) from outbox where delivered_at is null and due_at <= now()) as outbox,
  (select count(*) from quarantine where state = 'waiting') as quarantine
""")
# Days are UTC days, as in the ledger.
QUESTIONS = text("""
select case when a.abstained then 'abstained' when q.status = 'done' then 'answered' else q.status end, count(*)
from query q left join answer a on a.query_id = q.id
where q.created_at >= date_trunc('day', now(), 'utc') group by 1
""")
SPENT = text("""
select coalesce(sum(spent), 0), coalesce(sum(reserved), 0), coalesce(sum(settlements), 0), coalesce(sum(replays), 0)
from spend where day = (now() at time zone 'utc')::date
""")
TOKENS = text("""
select coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0)
from model_call where day = (now() at time zone 'utc')::date
""")


class Census(NamedTuple):
    """Count tenants by state, what waits by queue, and questions, dollars, calls and tokens of this UTC day."""

    tenants: Counter[str]
    queues: Counter[str]
    questions: Counter[str]
    dollars: Counter[str]
    calls: Counter[str]
    tokens: Counter[str]


async def take_census() -> Census:
    """Enter every tenant's rows in turn, and add up."""
    store, census = await database(), Census(*(Counter[str]() for _ in Census._fields))
    async with store.connection() as connection:
        tenants = (await connection.execute(select(col(Tenant.id), col(Tenant.suspended)))).all()
    census.tenants.update("suspended" if suspended else "active" for _, suspended in tenants)
    if not tenants:
        return census
    async with store.transaction(tenants[0].id, even_suspended=True) as connection:
        for tenant_id, _ in tenants:
            await connection.execute(text(ENTER), {"id": str(tenant_id)})
            census.queues.update({**(await connection.execute(QUEUES)).mappings().one()})
            census.questions.update({str(outcome): count for outcome, count in await connection.execute(QUESTIONS)})
            spent, reserved, settled, replayed = (await connection.execute(SPENT)).one()
            census.dollars.update({"spent": float(spent), "reserved": float(reserved)})
            census.calls.update({"paid": settled, "replayed": replayed})
            prompt, completion = (await connection.execute(TOKENS)).one()
            census.tokens.update({"prompt": prompt, "completion": completion})
    return census
