"""The statement that closes a question and stores its answer, as long as every document it quotes is there."""

from sqlalchemy import text

from blocks.compiled import Compiled
from tasks.paid import PAID

# The documents stay until the transaction ends. What guards saw is told once, however often the answer is recorded.
STORE = Compiled(
    text(f"""
with held as (
  select id from document where id = any(cast(:documents as uuid[])) order by id for key share
), quoted as (
  select count(*) = cardinality(cast(:documents as uuid[])) as are_there from held
), closed as (
  update query set status = 'done', finished_at = :now
  where id = :query and status not in ('done', 'refused') and refusal is distinct from :lapsed
    and (select are_there from quoted)
  returning id
), told as (
  insert into event (tenant_id, subject, kind, payload)
  select :tenant, closed.id, kind, payload
  from closed cross join unnest(cast(:kinds as text[]), cast(:payloads as jsonb[])) with ordinality
    as fact (kind, payload, place)
  where not exists (
    select from event e where e.tenant_id = :tenant and e.subject = :query
      and e.kind = fact.kind and e.payload = fact.payload and e.payload <> '{{}}')
  order by place
), paid as ({PAID}), stored as (
  insert into answer (id, tenant_id, query_id, text, citations, sentences, passages, prompt, versions, persona_version,
    confidence, abstained, model, fallback, note, usage, cost)
  select :id, :tenant, closed.id, :text, cast(:citations as jsonb), cast(:sentences as jsonb),
    cast(:passages as jsonb), cast(:prompt as jsonb), cast(:versions as jsonb), :persona_version,
    :confidence, :abstained, :model, :fallback, :note,
    case when :is_paid then jsonb_build_object(
      'prompt_tokens', paid.prompt_tokens, 'completion_tokens', paid.completion_tokens
    ) else cast(:usage as jsonb) end,
    case when :is_paid then paid.cost else cast(:cost as numeric) end
  from closed cross join paid
  on conflict (query_id) do nothing
)
select are_there, exists (select from closed) as is_closed from quoted
""")  # noqa: S608 -- only a constant is put into the text
)
