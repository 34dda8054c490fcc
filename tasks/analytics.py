"""What is known of a tenant's use, from events without text."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text

from blocks.connections import database
from kowai.analytics import Active, Analytics, cohorts, report, retention, week_of, weeks_between
from kowai.errors import InvalidInput
from tasks.step import step

WEEKS = 8
EARLIEST, LATEST = 2000, 9000

ACTIVE = text("""
with firsts as (
  select actor, min(created_at at time zone 'utc')::date as first from usage_event
  where actor is not null and created_at < :end group by actor
)
select distinct e.actor, date_trunc('week', e.created_at at time zone 'utc')::date as week,
  date_trunc('week', f.first)::date as first
from usage_event e join firsts f on f.actor = e.actor where e.created_at >= :start and e.created_at < :end
""")
COUNTS = text("""
select date_trunc('week', created_at at time zone 'utc')::date as week, kind, count(*) as events
from usage_event where created_at >= :start and created_at < :end group by 1, 2
""")
LATELY = text("""
select count(distinct actor) filter (where created_at >= cast(:end as timestamptz) - interval '1 day') as day,
  count(distinct actor) filter (where created_at >= cast(:end as timestamptz) - interval '7 days') as week,
  count(distinct actor) as month
from usage_event
where created_at >= cast(:end as timestamptz) - interval '28 days' and created_at < :end and actor is not null
""")


async def read_analytics(tenant_id: UUID, until: date | None = None, weeks: int = WEEKS) -> Analytics:
    """Return the use of so many weeks, the last one holding `until`, today (UTC) by default. Raises InvalidInput."""
    until = until or datetime.now(UTC).date()
    if not EARLIEST <= until.year <= LATEST:
        raise InvalidInput(f"Choose a day between the years {EARLIEST} and {LATEST}.")
    mondays = weeks_between(until - timedelta(weeks=weeks - 1), until)
    start, end = _midnight(mondays[0]), _midnight(until + timedelta(days=1))
    values: dict[str, Any] = {"start": start, "end": end}
    async with (await database()).transaction(tenant_id) as connection:
        active = [Active(*row) for row in await connection.execute(ACTIVE, values)]
        counted = (await connection.execute(COUNTS, values)).all()
        lately = (await connection.execute(LATELY, {"end": end})).one()
    counts = {week: {row.kind: row.events for row in counted if row.week == week} for week in mondays}
    found = cohorts(active, mondays)
    return Analytics(
        since=mondays[0],
        until=until,
        active_day=lately.day,
        active_week=lately.week,
        active_month=lately.month,
        stickiness=lately.day / lately.month if lately.month else None,
        retention_week_1=retention(found, 1),
        retention_week_4=retention(found, 4),
        weeks=tuple(week_of(week, counts[week], active) for week in mondays),
        cohorts=found,
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@step
async def report_use(tenant_id: UUID, until: date | None = None) -> Analytics:
    """Sum up a tenant's use, up to yesterday by default, and show it as a chart and a table of the run."""
    found = await read_analytics(tenant_id, until or datetime.now(UTC).date() - timedelta(days=1))
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown=report(found), key="usage")
        table = [{name: str(value) for name, value in week.model_dump().items()} for week in found.weeks]
        await acreate_table_artifact(key="usage-weeks", table=table, description=f"Tenant {tenant_id}, by week.")
    return found
