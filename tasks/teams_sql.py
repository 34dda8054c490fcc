"""The statements by which teams and their steps are taken, counted and closed."""

from sqlalchemy import text

LEASE_SECONDS = 30  # the intervals below
MOST_ATTEMPTS = 5

# One run works on a team at a time; what a dead one left is taken over when its lease has run out.
TAKE = text("""
update team set status = 'running', leased_until = now() + interval '30 seconds',
  flow_run_id = coalesce(cast(:run as uuid), flow_run_id)
where id = :team and finished_at is null and (leased_until is null or leased_until < now()) returning id
""")
STATE = text("select finished_at is not null as ended, cause from team where id = :team")
RENEW = text("update team set leased_until = now() + interval '30 seconds' where id = :team and finished_at is null")

DRAWN = text("""
update team set plan = cast(:plan as jsonb) where id = :team and plan = 'null'
""")
ENTER_STEPS = text("""
insert into team_step (id, tenant_id, team_id, name, ordinal, state, attempts, iterations)
select gen_random_uuid(), t.tenant_id, t.id, step ->> 'id', ordinal, 'queued', 0, 0
from team t cross join lateral jsonb_array_elements(t.plan -> 'steps') with ordinality as planned(step, ordinal)
where t.id = :team on conflict do nothing
""")

# The lock lets one step at a time take its share of the money.
TEAM = text("select question, plan, limits, asked_by from team where id = :team for update")
STEPS = text("select id, name, state, cause, attempts, iterations, dollars from team_step where team_id = :team")
OF_STEP = text("select team_id, name from team_step where id = :step")

CHARGED = "case state when 'reserved' then reserved else coalesce(charged, 0) end"
SPENT_ENDED = text(f"""
select coalesce(sum({CHARGED}), 0) from model_call where state <> 'released' and query_id in (
  select :team union all select id from team_step where team_id = :team and state not in ('queued', 'running'))
""")  # noqa: S608 -- only a constant is put into the text
SPENT = text(f"select coalesce(sum({CHARGED}), 0) from model_call where state <> 'released' and query_id = :step")  # noqa: S608

BEGIN = text("""
update team_step set state = 'running', attempts = attempts + 1, dollars = coalesce(dollars, :dollars) where id = :step
""")
END = text("update team_step set state = :state, cause = :cause, sentence = :sentence where id = :step")

FAIL_QUERY = text("""
update query set status = 'failed', refusal = 'crashed', sentence = :sentence, finished_at = now()
where id = :step and status in ('queued', 'running')
""")

# A question that was neither answered nor refused has failed, and so has its step.
CLOSE = text("""
update team_step s set
  state = case when q.status in ('done', 'refused') then q.status else 'failed' end,
  cause = case when q.status <> 'done' then left(coalesce(q.refusal, 'interrupted'), 50) end,
  sentence = case when q.status <> 'done' then q.sentence end
from query q where q.id = s.id and s.id = :step and s.state = 'running' returning s.team_id, s.name, s.state, s.cause
""")

# What has not ended ends now, and so do the questions of its steps.
CANCEL = text("""
update team set status = 'cancelled', cause = 'cancelled', sentence = :sentence, finished_at = now(),
  leased_until = null
where id = :team and finished_at is null returning id
""")
CANCEL_STEPS = text("""
update team_step set state = case state when 'running' then 'failed' else 'skipped' end, cause = 'cancelled',
  sentence = :sentence where team_id = :team and state in ('queued', 'running')
""")
CANCEL_QUERIES = text("""
update query set status = 'failed', refusal = 'cancelled', sentence = :sentence, finished_at = now()
where status in ('queued', 'running') and id in (select id from team_step where team_id = :team)
""")

COUNT = text("""
update team_step s set iterations = greatest(s.iterations, :iteration) where s.id = :step and :most >= :iteration + (
  select coalesce(sum(o.iterations), 0) from team_step o where o.team_id = s.team_id and o.id <> s.id)
""")

SAID = text("""
select s.name, s.sentence, a.text, a.abstained, a.citations, a.passages
from team_step s left join answer a on a.query_id = s.id
where s.team_id = :team and s.name = any(:names) order by s.ordinal
""")

CONCLUDE = text("""
update team set status = :status, cause = :cause, sentence = :sentence, finished_at = now(), leased_until = null
where id = :team and finished_at is null returning id
""")
