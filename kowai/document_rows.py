"""The SQL that writes the rows of a batch of documents: a statement a table, with an array for each column.

Text of the same statement for a batch of any size is parsed and planned once; a row of parameters each is not.
"""

# One that an acceptance which broke off has left is read as it is found now.
ACCEPT = """
insert into ingestion_item
  (id, tenant_id, ingestion_id, source_id, uri, state, cause, sentence, attempts, details)
select gen_random_uuid(), (select current_tenant()), :ingestion, source_id, uri, state, cause, sentence, 0,
  cast(details as jsonb)
from unnest(cast(:source_id as uuid[]), cast(:uri as text[]), cast(:state as text[]), cast(:cause as text[]),
  cast(:sentence as text[]), cast(:details as text[])) as new(source_id, uri, state, cause, sentence, details)
on conflict (ingestion_id, uri) do update set details = excluded.details where ingestion_item.state = 'queued'
"""

# A new document has version 0 and no hash until its first version is written.
ENTER = """
insert into document (id, tenant_id, external_id, origin, media_type, version, content_hash)
select gen_random_uuid(), (select current_tenant()), name, origin, '', 0, ''
from unnest(cast(:names as text[]), cast(:origins as text[])) with ordinality as new(name, origin, no) order by no
on conflict do nothing
"""

# In the byte order that Python sorts by.
HOLD = """
select external_id, id, version, content_hash from document where external_id = any(cast(:names as text[]))
order by external_id collate "C" for update
"""

RENEW = """
update document as d set media_type = new.media_type, details = cast(new.details as jsonb), origin = new.origin,
  content_type = new.content_type, language = new.language, validators = cast(new.validators as jsonb),
  title = new.title, content_hash = new.content_hash, version = new.version, updated_at = now()
from unnest(cast(:document_id as uuid[]), cast(:media_type as text[]), cast(:details as text[]),
  cast(:origin as text[]), cast(:content_type as text[]), cast(:language as text[]), cast(:validators as text[]),
  cast(:title as text[]), cast(:content_hash as text[]), cast(:version as integer[]))
  as new(id, media_type, details, origin, content_type, language, validators, title, content_hash, version)
where d.id = new.id
"""

WRITE_VERSIONS = """
insert into document_version (id, tenant_id, document_id, version, content_hash, title, text, pages, layout)
select gen_random_uuid(), (select current_tenant()), new.document_id, new.version, new.content_hash, new.title,
  new.text, cast(new.pages as jsonb),
  case when new.layout is not null then array(select jsonb_array_elements_text(cast(new.layout as jsonb))) end
from unnest(cast(:document_id as uuid[]), cast(:version as integer[]), cast(:content_hash as text[]),
  cast(:title as text[]), cast(:text as text[]), cast(:pages as text[]), cast(:layout as text[]))
  as new(document_id, version, content_hash, title, text, pages, layout)
"""

HOLD_ITEMS = """
select i.id from ingestion_item as i
join unnest(cast(:items as uuid[]), cast(:attempts as integer[])) as mine(id, attempts)
on i.id = mine.id and i.attempts = mine.attempts
where i.state = 'running' order by i.id for update of i
"""

END_ITEMS = """
update ingestion_item as i set state = new.state, cause = new.cause, sentence = new.sentence,
  document_id = new.document_id
from unnest(cast(:item as uuid[]), cast(:state as text[]), cast(:cause as text[]), cast(:sentence as text[]),
  cast(:document_id as uuid[])) as new(id, state, cause, sentence, document_id)
where i.id = new.id
"""
