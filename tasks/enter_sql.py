"""The statement by which a request enters: who calls, and what its tenant's and its own limits leave."""

from sqlalchemy import text

from blocks.compiled import Compiled

KEY = """
caller as (
  select id, name, role, scopes from api_key
  where digest = :digest and revoked_at is null and (expires_at is null or expires_at > now())
), used as (
  update api_key set last_used_at = now() from caller where api_key.id = caller.id
    and (last_used_at is null or last_used_at < now() - interval '1 minute')
)
"""
USER = """
caller as (
  select id, email as name, role, null::jsonb as scopes from user_account u
  where id = :user and disabled_at is null and exists (
    select from user_token t where t.user_id = u.id and t.family = :family and t.revoked_at is null)
)
"""
GUEST = """
caller as (
  select cast(:guest as uuid) as id, cast(:name as text) as name, cast(:role as text) as role, null::jsonb as scopes
  from tenant where id = :tenant
)
"""
# The caller's own rate is taken first and the tenant's only after it, so that one flooding key starves no other; where
# Redis counts requests, they are not counted here. Tokens are summed only for those whose allowance names a number.
LIMITS = """
select caller.*, own_rate, whole_rate, own_left.spare as own_spare, whole_left.spare as whole_spare,
  coalesce(own.streams, :own_streams) as own_streams, coalesce(whole.streams, :whole_streams) as whole_streams,
  case when own.tokens_per_day is not null then own.tokens_per_day - (
    select coalesce(sum(m.prompt_tokens + m.completion_tokens), 0) from model_call m join query q on q.id = m.query_id
    where m.tenant_id = :tenant and m.day = (now() at time zone 'utc')::date and q.asked_by = caller.id) end
    as own_tokens,
  case when whole.tokens_per_day is not null then whole.tokens_per_day - (
    select coalesce(sum(m.prompt_tokens + m.completion_tokens), 0) from model_call m
    where m.tenant_id = :tenant and m.day = (now() at time zone 'utc')::date and m.role <> 'index') end as whole_tokens
from caller
left join allowance own on own.tenant_id = :tenant and own.subject = caller.id
left join allowance whole on whole.tenant_id = :tenant and whole.subject = :tenant
cross join lateral (select coalesce(own.requests_per_minute, :own_rate) as own_rate,
  coalesce(whole.requests_per_minute, :whole_rate) as whole_rate) rates
cross join lateral (
  select case when cast(:count_here as boolean) then take_request(:tenant, caller.id, own_rate) end as spare
) own_left
cross join lateral (
  select case when own_left.spare >= interval '0' then take_request(:tenant, :tenant, whole_rate) end as spare
) whole_left
"""
BY_KEY = Compiled(text(f"with {KEY} {LIMITS}"))
BY_USER = Compiled(text(f"with {USER} {LIMITS}"))
BY_GUEST = Compiled(text(f"with {GUEST} {LIMITS}"))

OPEN_STREAM = Compiled(
    text("""
with turn as (select pg_advisory_xact_lock(hashtextextended('streams ' || cast(:tenant as text), 0))),
open as (
  select count(*) filter (where subject = :subject) as own, count(*) as whole from open_stream, turn
  where tenant_id = :tenant and leased_until > now()
)
insert into open_stream (id, tenant_id, subject, leased_until)
select :id, :tenant, :subject, now() + interval '10 minutes' from open
where open.own < :own_streams and open.whole < :whole_streams
""")
)
CLOSE_STREAM = Compiled(text("delete from open_stream where id = :id or leased_until < now()"))
