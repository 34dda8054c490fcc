"""Deleted means gone: what holds a document, in the order in which it is taken away.

A table that comes to hold text of documents adds its statement to QUOTES; all of them run in one transaction.
"""
# ruff: noqa: S608 -- only constants are put into the text

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from kowai.suites import PRODUCTION

CAUSE = "source_deleted"
SENTENCE = "A document that this answer was made from has been deleted."

# Whoever accepts documents or stores what models say shares the lock, whoever deletes holds it alone: neither overtakes
# the other.
SHARE = "select pg_advisory_xact_lock_shared(hashtextextended('erasure:' || (select current_tenant()), 0))"
HOLD = "select pg_advisory_xact_lock(hashtextextended('erasure:' || (select current_tenant()), 0))"

DELETED_SINCE = """
select exists (select from deletion_certificate where created_at > :began)
  or exists (select from event where kind = 'conversation.deleted' and created_at > :began)
  or not exists (select from tenant where id = (select current_tenant()))
"""

# Whether what is known of a question may quote what was deleted since it was asked, or it is deleted itself. What was
# started as a workflow may be a team or the like, which is no question and not deleted.
OVERTAKEN = """
select not exists (select from query where id = :query) and not exists (select from workflow_run where id = :query)
or exists (
  select from query q join deletion_certificate d on d.tenant_id = q.tenant_id and d.created_at > q.created_at
  where q.id = :query)
"""

ORIGINALS = """
select original from ingestion_item where external_id = :name and original is not null
union select named ->> 'original' from ingestion cross join lateral jsonb_array_elements(sources) as named
where sources @> jsonb_build_array(jsonb_build_object('uri', cast(:name as text)))
  and named ->> 'uri' = :name and named ->> 'original' is not null
"""

# A file is named by its content, so another document may still be made from it.
UNUSED = """
select path from unnest(cast(:paths as text[])) as path
where not exists (select from ingestion_item where original = path)
  and not exists (select from ingestion where sources @> jsonb_build_array(jsonb_build_object('original', path)))
  and not exists (select from batch cross join lateral jsonb_each_text(results) as file where file.value = path)
"""

# Whoever finishes a batch puts what its answers say into files: both are made anew without those that are gone.
RESULTS = """
select file.value from batch cross join lateral jsonb_each_text(results) as file
where batch.id in (select batch_id from batch_item where id = any(:citing))
"""

HELD = """
with mine as materialized (select id from chunk where document_id = :document)
select (select count(*) from document_version where document_id = :document) as versions,
       (select count(*) from mine) as chunks,
       (select count(*) from chunk_vector where chunk_id in (select id from mine)) as vectors,
       (select count(*) from posting where chunk_id in (select id from mine)) as postings
"""

# First what may be writing the document just now: deleting its items and its row waits for that writer to end.
ARRIVALS = {
    "items": "delete from ingestion_item where external_id = :name",
    "quarantined": "delete from quarantine where external_id = :name",
    "requests": """
        update ingestion set sources = (
          select coalesce(jsonb_agg(named), '[]') from jsonb_array_elements(sources) as named
          where named ->> 'uri' is distinct from :name)
        where sources @> jsonb_build_array(jsonb_build_object('uri', cast(:name as text)))""",
    "sources": "delete from source where uri = :name",
}
# What was bought and is not indexed does not say of which document it is.
BOUGHT = "delete from bought_vector"
FIND = "select id from document where external_id = :name for update"
DOCUMENT = "delete from document where id = :document"

QUOTING = """
select query_id, text, citations @> :cited as cited from answer where quoted ? cast(:document as text)
"""
# What no row refers to goes before the questions of a conversation do.
_TOLD = """(select q.id from query q join conversation c on c.id = q.conversation_id
  where c.id = :conversation and c.created_by = :caller)"""
TOLD_REPLIES = f"""
update model_call set reply = 'null', state = case state when 'settled' then 'void' else state end,
  cause = 'conversation_deleted'
where state in ('settled', 'void') and reply <> 'null' and query_id in {_TOLD}
"""
TOLD_DELETED = """
insert into event (tenant_id, subject, kind, created_at)
values ((select current_tenant()), :conversation, 'conversation.deleted', clock_timestamp())
"""
TOLD_EVENTS = f"delete from event where payload <> '{{}}' and subject in {_TOLD}"

UNANSWERED = "status in ('failed', 'stopped', 'refused')"
RETOLD = "select conversation_id from query where id = any(:citing) and conversation_id is not null"

LEARNED = "select id from setting_version where lineage -> 'documents' ? cast(:document as text)"

QUOTES = {
    "answers": "delete from answer where query_id = any(:citing)",
    "passages": """
        update answer set prompt = '{}', passages = (
          select coalesce(jsonb_agg(passage), '[]') from jsonb_array_elements(passages) as passage
          where passage ->> 'document_id' <> cast(:document as text))
        where query_id = any(:quoting) and quoted ? cast(:document as text)""",
    "replies": f"""
        update model_call set reply = 'null', state = case state when 'settled' then 'void' else state end,
          cause = '{CAUSE}'
        where query_id = any(:quoting) and state in ('settled', 'void') and reply <> 'null'""",
    "events": "delete from event where subject = any(:quoting) and payload <> '{}'",
    # What was begun and has no answer does not say what it quotes, so all of it goes.
    "unfinished_replies": f"""
        update model_call set reply = 'null', state = 'void', cause = '{CAUSE}'
        where state = 'settled' and reply <> 'null' and query_id in (select id from query where {UNANSWERED})""",
    "unfinished_events": f"""
        delete from event where payload <> '{{}}' and subject in (select id from query where {UNANSWERED})""",
    "results": """
        update batch set results = '{}'
        where results <> '{}' and id in (select batch_id from batch_item where id = any(:citing))""",
    "verdicts": "update case_score set reason = null where reason is not null and id = any(:citing)",
    # An answer that was liked is drawn into a suite as what is expected. Nobody may change a case: it is put in anew.
    "drawn_cases": f"""
        with quoting as (
          delete from suite_case where content -> 'documents' ? cast(:name as text)
            and suite_id in (select id from suite where origin = '{PRODUCTION}') returning *
        ) insert into suite_case (id, tenant_id, created_at, suite_id, key, content)
        select id, tenant_id, created_at, suite_id, key,
          (content - 'answers') #- array['documents', cast(:name as text)] from quoting""",
    "histories": """
        update query set history = '[]' where history <> '[]' and exists (
          select from jsonb_array_elements(history) as said where said ->> 'text' = any(cast(:texts as text[])))""",
    # What a conversation remembers may tell a deleted answer in other words, and so may what a model made of that.
    "summaries": f"""
        update conversation set summary = '', summarised = 0 where summary <> '' and id in ({RETOLD})""",
    "retellings": f"""
        update query set history = '[]', standalone = text
        where conversation_id in ({RETOLD}) and (history <> '[]' or standalone <> text)""",
    "retold_replies": f"""
        update model_call set reply = 'null', state = case state when 'settled' then 'void' else state end,
          cause = '{CAUSE}'
        where state in ('settled', 'void') and reply <> 'null'
          and query_id in (select id from query where conversation_id in ({RETOLD}))""",
    # Prompts that learned from it show it as an example, and the replies they learned by may quote it.
    "live_prompts": f"delete from live_setting where version_id in ({LEARNED})",
    "incumbents": f"update promotion set incumbent_id = null where incumbent_id in ({LEARNED})",
    "prompts": f"delete from setting_version where id in ({LEARNED})",
    "lessons": f"""
        update model_call set reply = 'null', state = case state when 'settled' then 'void' else state end,
          cause = '{CAUSE}'
        where state in ('settled', 'void') and reply <> 'null'
          and query_id in (select id from optimisation where documents ? cast(:document as text))""",
    "artefacts": """
        update optimisation set artefact = '{}' where artefact <> '{}' and documents ? cast(:document as text)""",
    "queries": f"""
        update query set status = 'refused', refusal = '{CAUSE}', sentence = '{SENTENCE}'
        where id = any(:citing)""",
}


def name_hash(tenant_id: UUID, external_id: str) -> str:
    """Return what a certificate keeps of a document's name; two tenants' hashes of one name differ."""
    return sha256(f"{tenant_id}\0{external_id}".encode(errors="surrogatepass")).hexdigest()


def seal(facts: Mapping[str, Any], previous: str | None) -> str:
    """Return the SHA-256 over a certificate's facts and the one before it, so that none can be changed or left out."""
    told = json.dumps([facts, previous], sort_keys=True, separators=(",", ":"), default=str)
    return sha256(told.encode()).hexdigest()
