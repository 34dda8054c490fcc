"""The statements that move money: each moves a call and its tenant's day together, or neither."""

from sqlalchemy import text

from blocks.compiled import Compiled
from kowai import erasure

LEASE_SECONDS = 60  # the intervals below
SHARE = Compiled(text(erasure.SHARE))

# Whether the one who asked for it still may: a call may come long after the request that led to it.
STANDS = """
standing as (
  select not exists (
    select from (
      select asked_by from query where id = cast(:query_id as uuid)
      union all select asked_by from team where id = cast(:query_id as uuid)
      union all select requested_by from optimisation where id = cast(:query_id as uuid)
    ) asker (id)
    where exists (select from api_key k where k.id = asker.id and k.revoked_at is not null)
      or exists (select from user_account u where u.id = asker.id and u.disabled_at is not null)
  ) as stands
)
"""

# Counts the call in before it may cost anything; an identical live one makes this insert nothing.
OPEN = text(f"""
with {STANDS}, opened as (
  insert into model_call
    (id, tenant_id, request_hash, query_id, flow, role, state, day, leased_until, reserved, fallback)
  select :id, :tenant, :digest, cast(:query_id as uuid), cast(:flow as text), cast(:role as text),
         'reserved', (now() at time zone 'utc')::date, now() + interval '60 seconds', 0, false
  from standing where stands
  on conflict (tenant_id, request_hash) where state in ('reserved', 'settled') do nothing
  returning tenant_id, day
), counted as (
  insert into spend as s (id, tenant_id, day, reserved, spent, reservations, settlements, releases, replays)
  select gen_random_uuid(), tenant_id, day, 0, 0, 1, 0, 0, 0 from opened
  on conflict (tenant_id, day) do update set reservations = s.reservations + 1
)
select (select count(*) from opened) as opened, stands from standing
""")  # noqa: S608 -- only a constant is put into the text

# The same with the first target's worst case, as far as both limits allow it; one that is opened and not counted has
# been overtaken by others on the way to the day's limit, and has to be rolled back.
OPEN_RESERVED = Compiled(
    text(f"""
with {STANDS}, limits as (
  select coalesce(max(request_limit), :request_limit) as request, coalesce(max(daily_limit), :daily_limit) as daily
  from budget where tenant_id = :tenant
), opened as (
  insert into model_call
    (id, tenant_id, request_hash, query_id, flow, role, state, day, leased_until, reserved, target, model, fallback)
  select :id, :tenant, :digest, cast(:query_id as uuid), cast(:flow as text), cast(:role as text),
         'reserved', (now() at time zone 'utc')::date, now() + interval '60 seconds', :amount, :target, :model, false
  from limits l, standing
  where stands and (:amount <= l.request or cast(:role as text) = 'index') and (:amount = 0 or :amount <= l.daily)
  on conflict (tenant_id, request_hash) where state in ('reserved', 'settled') do nothing
  returning tenant_id, day
), counted as (
  insert into spend as s (id, tenant_id, day, reserved, spent, reservations, settlements, releases, replays)
  select gen_random_uuid(), tenant_id, day, :amount, 0, 1, 0, 0, 0 from opened
  on conflict (tenant_id, day) do update set reservations = s.reservations + 1, reserved = s.reserved + :amount
  where :amount = 0 or s.reserved + s.spent + :amount <= (select daily from limits)
  returning day
)
select (select count(*) from opened) as opened, (select count(*) from counted) as counted, stands from standing
""")  # noqa: S608 -- only a constant is put into the text
)

FIND = text("""
select id, state, reply, target, fallback, prompt_tokens, completion_tokens, cost, leased_until < now() as stale
from model_call where tenant_id = :tenant and request_hash = :digest and state in ('reserved', 'settled')
""")

# Raises what is reserved for a call to :amount if both limits allow it; a free call passes even an exhausted day, and
# what documents are indexed by is no request of anybody's.
RESERVE = text("""
with limits as (
  select coalesce(max(request_limit), :request_limit) as request, coalesce(max(daily_limit), :daily_limit) as daily
  from budget where tenant_id = :tenant
), before as (
  select c.id, c.tenant_id, c.day, c.reserved, c.role from model_call c
  where c.id = :id and c.state = 'reserved' for update
), booked as (
  update spend s set reserved = s.reserved + greatest(:amount - b.reserved, 0) from before b, limits l
  where s.tenant_id = b.tenant_id and s.day = b.day and (:amount <= l.request or b.role = 'index')
    and (:amount <= b.reserved or s.reserved + s.spent + :amount - b.reserved <= l.daily)
  returning s.day
), raised as (
  update model_call c set reserved = greatest(c.reserved, :amount), target = :target, model = :model,
    fallback = :fallback, leased_until = now() + interval '60 seconds'
  from before b, booked where c.id = b.id
)
select (select count(*) from before) as live, (select count(*) from booked) as booked, l.daily,
  case when exists (select from before where role = 'index') then :amount else l.request end as request
from limits l
""")

# A reply that comes after its lease ran out was paid all the same: it is counted, and void. One whose question is gone,
# or that may quote what was deleted meanwhile, is counted and not kept; SHARE has to come before.
SETTLE = Compiled(
    text("""
with before as (
  select id, tenant_id, day, state, reserved, query_id, created_at from model_call
  where id = :id and state in ('reserved', 'released') and settled_at is null for update
), overtaken as (
  select b.id from before b left join query q on q.id = b.query_id
  where (b.query_id is not null and q.id is null and not exists (select from team where id = b.query_id)
      and not exists (select from optimisation where id = b.query_id))
    or exists (select from deletion_certificate d where d.tenant_id = b.tenant_id
      and d.created_at > case when q.status <> 'done' then q.created_at else b.created_at end)
), closed as (
  update model_call c set state = case when o.id is null and b.state = 'reserved' then :state else 'void' end,
    cause = case when o.id is not null then 'deleted' when b.state = 'reserved' then :cause else 'late' end,
    reply = case when o.id is null then cast(:reply as jsonb) else 'null' end, target = :target,
    model = :model, fallback = :fallback, prompt_tokens = :prompt_tokens, completion_tokens = :completion_tokens,
    cost = :cost, charged = :charged, leased_until = null, settled_at = now()
  from before b left join overtaken o on o.id = b.id where c.id = b.id
)
update spend s set spent = s.spent + :charged, settlements = s.settlements + 1,
  reserved = s.reserved - case b.state when 'reserved' then b.reserved else 0 end,
  releases = s.releases - case b.state when 'reserved' then 0 else 1 end
from before b where s.tenant_id = b.tenant_id and s.day = b.day
""")
)

# One call by its id, or with no id every call whose process has died.
RELEASE = text("""
with ended as (
  update model_call c set state = 'released', cause = :cause, leased_until = null
  where c.tenant_id = :tenant and c.state = 'reserved'
    and (c.id = cast(:id as uuid) or cast(:id as uuid) is null and c.leased_until < now())
  returning c.tenant_id, c.day, c.reserved
), sums as (
  select tenant_id, day, sum(reserved) as reserved, count(*) as calls from ended group by tenant_id, day
), booked as (
  update spend s set reserved = s.reserved - sums.reserved, releases = s.releases + sums.calls from sums
  where s.tenant_id = sums.tenant_id and s.day = sums.day
)
select count(*) as calls from ended
""")

RENEW = text("""
update model_call set leased_until = now() + interval '60 seconds' where id = :id and state = 'reserved'
""")

# Counts what a target may bill that was asked and did not reply, as a call of its own; the open one then holds nothing.
LOSE = text("""
with before as (
  select * from model_call where id = :id and state = 'reserved' for update
), lost as (
  insert into model_call (id, tenant_id, request_hash, query_id, flow, role, state, cause, day, reserved, target, model,
    fallback, charged, settled_at)
  select :lost, tenant_id, request_hash, query_id, flow, role, 'void', 'no_reply', day, :amount, target, model,
    fallback, :amount, now() from before
), freed as (
  update model_call c set reserved = 0 from before b where c.id = b.id
)
update spend s set reserved = s.reserved - b.reserved, spent = s.spent + :amount,
  reservations = s.reservations + 1, settlements = s.settlements + 1
from before b where s.tenant_id = b.tenant_id and s.day = b.day
""")

# Vectors that no document is deleted for meanwhile: of what is indexed until that is done, of questions for a retry.
BUY = Compiled(
    text("""
insert into bought_vector (tenant_id, text_hash, vector, kept_until)
select c.tenant_id, new.text_hash, new.vector,
  now() + case c.role when 'index' then interval '7 days' else interval '1 hour' end
from model_call c
cross join unnest(cast(:hashes as text[]), cast(:vectors as bytea[])) as new(text_hash, vector)
where c.id = :id and not exists (
  select from deletion_certificate d where d.tenant_id = c.tenant_id and d.created_at > c.created_at)
on conflict (tenant_id, text_hash) do update set kept_until = greatest(bought_vector.kept_until, excluded.kept_until)
""")
)

SHARE_OUT = text("update model_call set shares = cast(:shares as jsonb) where id = :id")

SPOIL = text("update model_call set state = 'void', cause = :cause where id = :id and state = 'settled'")

COUNT_REPLAY = text("""
insert into spend as s (id, tenant_id, day, reserved, spent, reservations, settlements, releases, replays)
values (gen_random_uuid(), :tenant, (now() at time zone 'utc')::date, 0, 0, 0, 0, 0, 1)
on conflict (tenant_id, day) do update set replays = s.replays + 1
""")
