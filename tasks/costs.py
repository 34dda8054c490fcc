"""Account for a tenant's day: what its model calls cost, by persona, model, flow and document source."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database, language_model
from kowai.pricing import Dollars
from kowai.types import Value
from tasks.accounts import sweep
from tasks.step import step

IN_PROCESS = "chat, in process"

DAY = text("""
select coalesce(sum(reserved), 0) as reserved, coalesce(sum(spent), 0) as spent,
  coalesce(sum(reservations), 0) as reservations, coalesce(sum(settlements), 0) as settlements,
  coalesce(sum(releases), 0) as releases, coalesce(sum(replays), 0) as replays
from spend where tenant_id = :tenant and day = :day
""")
LIMIT = text("select coalesce(max(daily_limit), :default) from budget where tenant_id = :tenant")
SHARES = text("""
select case when grouping(persona) = 0 then 'persona' when grouping(model) = 0 then 'model' else 'flow' end as by,
  coalesce(persona, model, flow) as name, count(*) as calls, sum(cost) as cost, sum(charged) as charged,
  count(*) filter (where cost is null) as unknown, sum(prompt_tokens) as prompt_tokens,
  sum(completion_tokens) as completion_tokens
from (
  select coalesce(q.persona, 'none') as persona, coalesce(c.model, 'none') as model,
    coalesce(c.flow, :in_process) as flow, c.cost, c.charged, c.prompt_tokens, c.completion_tokens
  from model_call c left join query q on q.id = c.query_id
  where c.tenant_id = :tenant and c.day = :day and c.state in ('settled', 'void')
) calls group by grouping sets ((persona), (model), (flow)) order by 1, 5 desc nulls last, 2
""")

# A call is shared evenly among the sources of the documents its answer cites, or else of those it was given; one for
# vectors, by how many of its texts are of which ingested item or stored document.
SOURCES = text("""
with calls as (
  select id, query_id, shares, cost, charged, prompt_tokens, completion_tokens from model_call
  where tenant_id = :tenant and day = :day and state in ('settled', 'void')
), origins as (
  select distinct c.id, d.origin, 1 as texts
  from calls c left join answer a on a.query_id = c.query_id
  left join lateral jsonb_array_elements(
    case when a.citations = '[]'::jsonb then a.passages else a.citations end) cited on true
  left join document d on d.id = cast(cited->>'document_id' as uuid)
  where c.shares = '{}'::jsonb
  union all
  select c.id, coalesce(d.origin, i.details->>'origin', case when i.original is null then i.uri else 'upload' end),
    cast(share.value as int)
  from calls c cross join lateral jsonb_each_text(c.shares) share
  left join ingestion_item i on i.id = cast(share.key as uuid)
  left join document d on d.id = coalesce(i.document_id, cast(share.key as uuid))
), rests_on as (
  select id, name, case when bool_or(counted) then sum(texts) else 1 end as texts from (
    select o.id, o.texts, c.shares <> '{}'::jsonb as counted, coalesce(known.uri, o.origin, 'none') as name
    from origins o join calls c using (id) left join lateral (
      select s.uri from source s where starts_with(o.origin, s.uri) order by length(s.uri) desc limit 1) known on true
  ) named group by id, name
), parts as (
  select c.*, r.name, r.texts, sum(r.texts) over (partition by c.id) as whole from calls c join rests_on r using (id)
)
select 'source' as by, name, count(*) as calls, round(sum(cost * texts / whole), 9) as cost,
  round(sum(charged * texts / whole), 9) as charged, count(*) filter (where cost is null) as unknown,
  cast(round(sum(prompt_tokens * texts / whole)) as int) as prompt_tokens,
  cast(round(sum(completion_tokens * texts / whole)) as int) as completion_tokens
from parts group by name order by 5 desc nulls last, 2
""")


class Share(Value):
    """Sum the calls of one persona, model, flow or document source.

    `cost` leaves out the `unknown` calls, `charged` estimates them.
    """

    by: Literal["persona", "model", "flow", "source"]
    name: str
    calls: int
    cost: Dollars | None
    charged: Dollars
    unknown: int
    prompt_tokens: int | None
    completion_tokens: int | None


class Costs(Value):
    """Hold a UTC day in US dollars: reservations = settlements + releases + calls in flight."""

    day: date
    daily_limit: Dollars
    reserved: Dollars
    spent: Dollars
    reservations: int
    settlements: int
    releases: int
    replays: int
    shares: tuple[Share, ...]


async def read_costs(tenant_id: UUID, day: date | None = None) -> Costs:
    """Return the tenant's costs on a UTC day, today's by default."""
    day = day or datetime.now(UTC).date()
    values = {"tenant": tenant_id, "day": day, "in_process": IN_PROCESS}
    default = (await language_model()).daily_limit
    async with (await database()).transaction(tenant_id) as connection:
        limit = await connection.scalar(LIMIT, {"tenant": tenant_id, "default": default})
        (sums,) = await _rows(connection, DAY, values)
        shares = [row for query in (SHARES, SOURCES) for row in await _rows(connection, query, values)]
    return Costs(day=day, daily_limit=limit, **sums, shares=tuple(Share(**share) for share in shares))


async def _rows(connection: AsyncConnection, statement: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement, values)).mappings()]


@step
async def report_day(tenant_id: UUID, day: date | None = None) -> Costs:
    """Give back what dead processes still hold, sum up a day (yesterday by default) and show it as an artifact."""
    await sweep(tenant_id)
    costs = await read_costs(tenant_id, day or datetime.now(UTC).date() - timedelta(days=1))
    if FlowRunContext.get() is not None:
        table = [{name: str(value) for name, value in share.model_dump().items()} for share in costs.shares]
        description = (
            f"{costs.day}: {costs.spent} USD of {costs.daily_limit}; {costs.reservations} reserved, "
            f"{costs.settlements} settled, {costs.releases} released, {costs.replays} replayed."
        )
        await acreate_table_artifact(key="costs", table=table, description=description)
    return costs
