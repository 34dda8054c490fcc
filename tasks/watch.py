"""Watch what went live: feedback, and a judge's sample, of its answers beside those before it."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database, language_model
from kowai.watching import fall, is_certain
from tasks.judge import JUDGE, judge_sample
from tasks.step import step

SAMPLE = 30
DAYS = 30

LIVE = text("""
select p.id, v.slot, p.version_id, p.finished_at as since from promotion p
join setting_version v on v.id = p.version_id join live_setting l on l.slot = v.slot and l.version_id = p.version_id
where p.outcome = 'promoted' and p.finished_at > now() - make_interval(days => :days)
""")
ANSWERED = text("""
select q.id, q.text as question, a.text as answer, a.abstained,
  (a.versions ->> :slot) is not distinct from :version as after,
  (select avg(case f.rating when 'up' then 1.0 else 0.0 end) from feedback f where f.query_id = q.id) as liked
from query q join answer a on a.query_id = q.id
where q.pins = 'null'::jsonb and (:persona = '' or q.persona = :persona)
  and q.created_at > cast(:since as timestamptz) - make_interval(days => :days) order by md5(q.id::text)
""")


class Watched(NamedTuple):
    """Name a promotion whose version is still live."""

    promotion_id: UUID
    slot: str
    version_id: UUID
    since: datetime


@step
async def read_watched(tenant_id: UUID) -> list[Watched]:
    """Return what went live within the last days and still is."""
    async with (await database()).transaction(tenant_id) as connection:
        return [Watched(*row) for row in await connection.execute(LIVE, {"days": DAYS})]


@step
async def look_back(watched: Watched, tenant_id: UUID) -> str | None:
    """Return why the version should be rolled back; None when nothing speaks against it, or too little is known."""
    values: dict[str, Any] = {"slot": watched.slot, "version": str(watched.version_id), "since": watched.since}
    values |= {"persona": watched.slot.partition(":")[2], "days": DAYS}
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(ANSWERED, values)).all()
    sides = [[row for row in rows if row.after is side] for side in (False, True)]
    liked = fall(*[[float(row.liked) for row in side if row.liked is not None] for side in sides])
    if liked is not None and is_certain(liked):
        return f"Feedback fell from {liked.before:.0%} to {liked.after:.0%} liked answers since it went live."
    judged = (
        fall(*[await judge_sample(side[:SAMPLE], tenant_id) for side in sides])
        if (await language_model()).has_role(JUDGE)
        else None
    )
    if judged is not None and is_certain(judged):
        return f"The judge's mean verdict fell from {judged.before:.2f} to {judged.after:.2f} since it went live."
    return None
