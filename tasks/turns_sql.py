"""The statements that share the workers out: an item is answered while it holds a live turn, and only then."""

from sqlalchemy import text

LEASE_SECONDS = 60  # the interval below
MOST_ATTEMPTS = 5

# One claim at a time in the whole house, so that two never see the same room.
ALONE = text("select pg_advisory_xact_lock(4072006)")
FORGET = text("delete from batch_turn where leased_until < now()")

# What killed its process again and again is dead, or it would kill the next one too.
BURY = text("""
update batch_item i set state = 'dead', cause = 'crashed',
  sentence = 'The process that answered this question died each time.'
where i.batch_id = :batch and i.state = 'running' and i.attempts >= :most
  and not exists (select from batch_turn t where t.id = i.id)
""")

LIMITS = text("select limits from batch where id = :batch")

# A party may hold its share of the slots, rounded up; every party that holds or waits has a share.
TAKE = text("""
with shares as (
  select count(*) filter (where not waiting) as held, count(*) filter (where not waiting and party = :party) as mine,
    count(distinct party) + case when bool_or(party = :party) then 0 else 1 end as parties from batch_turn
), next as (
  select i.id from batch_item i cross join shares s
  where i.batch_id = :batch and s.held < :slots and s.mine < ceil(:slots / greatest(s.parties, 1)::numeric)
    and (i.state = 'queued' or i.state = 'running' and not exists (select from batch_turn t where t.id = i.id))
  order by i.ordinal, i.persona limit 1 for update of i skip locked
), taken as (
  update batch_item i set state = 'running', attempts = i.attempts + 1 from next where i.id = next.id
  returning i.id, i.question_id, i.persona
), held as (
  insert into batch_turn (id, party, waiting, leased_until)
  select id, :party, false, now() + interval '60 seconds' from taken
)
select taken.id, q.text, taken.persona, b.asked_by, b.pins from taken
join set_question q on q.id = taken.question_id join batch b on b.id = :batch
""")

# The same for what is no item, such as a step of a team.
HOLD = text("""
with shares as (
  select count(*) filter (where not waiting and id <> :id) as held,
    count(*) filter (where not waiting and id <> :id and party = :party) as mine,
    count(distinct party) + case when bool_or(party = :party) then 0 else 1 end as parties from batch_turn
)
insert into batch_turn (id, party, waiting, leased_until)
select :id, :party, false, now() + interval '60 seconds' from shares
where held < :slots and mine < ceil(:slots / greatest(parties, 1)::numeric)
on conflict (id) do update set waiting = false, leased_until = excluded.leased_until returning id
""")

WAIT = text("""
insert into batch_turn (id, party, waiting, leased_until) values (:batch, :party, true, now() + interval '5 seconds')
on conflict (id) do update set leased_until = excluded.leased_until
""")

LEFT = text("""
select count(*) filter (where state = 'queued') as queued, count(*) filter (where state = 'running') as running
from batch_item where batch_id = :batch and state in ('queued', 'running')
""")

RENEW = text("update batch_turn set leased_until = now() + interval '60 seconds' where id = :id")
YIELD = text("delete from batch_turn where id = :id")

# A question that was neither answered nor refused nor failed was interrupted: it is asked again.
CLOSE = text("""
update batch_item i set
  state = case when q.status in ('done', 'refused') then q.status
    when q.status = 'failed' or i.attempts >= :most then 'dead' else 'queued' end,
  cause = case when q.status in ('failed', 'refused') then left(coalesce(q.refusal, 'internal'), 50)
    when q.status <> 'done' and i.attempts >= :most then 'interrupted' end,
  sentence = case when q.status in ('failed', 'refused') then q.sentence end
from query q where q.id = i.id and i.id = :id and i.state = 'running'
""")
DIE = text("update batch_item set state = 'dead', cause = :cause, sentence = :sentence where id = :id")
