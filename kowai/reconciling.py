"""What may be amiss in a store, as SQL that finds or mends it; each leaves a sound store as it is."""
# ruff: noqa: S608 -- only constants are put into the text

from kowai.erasure import UNANSWERED

TRIES = 5  # a document that took so many workers along is left alone
PATIENCE = "interval '15 minutes'"
KEY_LIFE = "interval '1 day'"  # for how long a caller's own key stands for its request

STUCK = "state = 'running' and not at_work(claimed_by)"

BURY = f"""
update ingestion_item set state = 'dead', cause = 'abandoned',
  sentence = 'Every worker that read it stopped before it was done.'
where {STUCK} and attempts >= {TRIES}
"""
BURY_IN = f"{BURY} and ingestion_id = :ingestion"

MEND = {
    "documents that kept killing their worker": BURY,
    "claims of workers that are gone": f"update ingestion_item set state = 'queued', claimed_by = null where {STUCK}",
    "documents without a version": "delete from document where version = 0",
    "vectors without a chunk": """
        delete from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)""",
    "postings without a chunk": """
        delete from posting p where not exists (select from chunk c where c.id = p.chunk_id)""",
    "vectors that were bought and not used in time": "delete from bought_vector where kept_until < now()",
    "replies of models that a deletion has overtaken": f"""
        update model_call c set reply = 'null', state = 'void', cause = 'deleted'
        where c.state in ('settled', 'void') and c.reply <> 'null' and c.query_id is not null and (
          exists (select from query q join deletion_certificate d on d.tenant_id = q.tenant_id
            and d.created_at > q.created_at where q.id = c.query_id and q.{UNANSWERED})
          or not exists (select from query where id = c.query_id)
            and not exists (select from team where id = c.query_id)
            and not exists (select from optimisation where id = c.query_id))""",
    "idempotency keys past their day": f"delete from idempotency_key where created_at < now() - {KEY_LIFE}",
}

# An ingestion that was not accepted as a whole has no walks, and may have no document yet. Where nobody left anything
# half done, it has to be old enough that nobody is just about to begin.
UNFINISHED = f"""
select i.id from ingestion i
where not exists (
    select from ingestion_item r where r.ingestion_id = i.id and r.state = 'running' and at_work(r.claimed_by))
  and (exists (select from ingestion_item s where s.ingestion_id = i.id and {STUCK})
    or i.created_at < now() - {PATIENCE}
      and (exists (select from ingestion_item t where t.ingestion_id = i.id and t.state = 'queued')
        or (i.finished_at is null and i.walks = 'null')))
order by i.created_at
"""

LEFT = {
    "chunks without a vector": """
        select count(*) from chunk c where not exists (
          select from chunk_vector v join embedding_space s on s.id = v.space_id
          where v.chunk_id = c.id and s.state = 'current')""",
    "deliveries overdue for an hour": """
        select count(*) from outbox where delivered_at is null and due_at < now() - interval '1 hour'""",
}
