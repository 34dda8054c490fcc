"""Old versions, kept outside the tables that today's searches read, and a schema that shows the knowledge of one day.

In the schema `as_of` the tables of a search are views: what is current and was so then, and what was current then.
A transaction that puts the schema first in its search path runs the very statements of any search.
"""
# ruff: noqa: S608 -- only constants are put into the text

KEEP = """
with kept as (
  insert into past_chunk (id, tenant_id, document_id, version, ordinal, start_char, end_char, page, heading_path, text,
    length, valid_from, valid_until)
  select c.id, c.tenant_id, c.document_id, c.version, c.ordinal, c.start_char, c.end_char, c.page, c.heading_path,
    c.text, c.length, v.created_at, now()
  from chunk c join document_version v on v.document_id = c.document_id and v.version = c.version
  where c.document_id = any(:documents) returning id
), vectors as (
  insert into past_vector (chunk_id, space_id, tenant_id, embedding)
  select chunk_id, space_id, tenant_id, embedding from chunk_vector where chunk_id in (select id from kept)
)
insert into past_posting (tenant_id, term, chunk_id, frequency, length)
select tenant_id, term, chunk_id, frequency, length from posting where chunk_id in (select id from kept)
"""

SHOW = "select set_config('search_path', 'as_of, public', true), set_config('app.as_of', :moment, true)"
HIDE = "select set_config('search_path', 'public', true)"

# Versions beyond those kept, or replaced longer ago than they are kept; the current one always stays.
RETIRE = """
with retired as (
  delete from document_version v using document d
  where d.id = v.document_id and v.version < d.version and (
    v.version <= d.version - cast(:versions as integer)
    or exists (select from document_version n where n.document_id = v.document_id and n.version = v.version + 1
               and n.created_at < now() - make_interval(days => cast(:days as integer))))
  returning v.document_id, v.version
)
select count(*) as versions, count(distinct document_id) as thinned_documents,
  coalesce(sum(held.chunks), 0)::bigint as chunks
from retired cross join lateral (
  select count(*) as chunks from past_chunk p where p.document_id = retired.document_id and p.version = retired.version
) as held
"""
RETIRE_CHUNKS = """
delete from past_chunk p where not exists (
  select from document_version v where v.document_id = p.document_id and v.version = p.version)
"""

# Documents that were there at a moment and whose version of then has been retired.
GAPS = """
select count(*) from document d cross join lateral (
  select version, created_at from document_version v where v.document_id = d.id order by version limit 1
) as oldest
where d.version > 1 and oldest.version > 1 and d.created_at <= :moment and oldest.created_at > :moment
"""

_MOMENT = "current_setting('app.as_of')::timestamptz"
_THEN = f"valid_from <= {_MOMENT} and valid_until > {_MOMENT}"
_CHUNK = "id, tenant_id, document_id, version, ordinal, start_char, end_char, page, heading_path, text, length"
_STARTED = f"""exists (select from public.document_version v where v.document_id = c.document_id
    and v.version = c.version and v.created_at <= {_MOMENT})"""


def _view(name: str, columns: str, past: str) -> str:
    current = f"exists (select from public.chunk c where c.id = chunk_id and {_STARTED})"
    then = f"exists (select from public.past_chunk p where p.id = chunk_id and {_THEN})"
    return f"""
create view as_of.{name} with (security_invoker = true) as
select {columns} from public.{name} where {current}
union all select {columns} from public.{past} where {then}
"""


VIEWS = (
    "create schema as_of",
    f"""
create view as_of.chunk with (security_invoker = true) as
select {_CHUNK} from public.chunk c where {_STARTED}
union all select {_CHUNK} from public.past_chunk where {_THEN}
""",
    _view("chunk_vector", "chunk_id, space_id, tenant_id, embedding", "past_vector"),
    _view("posting", "tenant_id, term, chunk_id, frequency, length", "past_posting"),
    # Rarity is measured over all that was ever known: a word that only old versions hold is still worth its while.
    """
create view as_of.term_count with (security_invoker = true) as
select tenant_id, term, chunks, occurrences from public.term_count
union all select tenant_id, term, 1, case term when '' then length else frequency end from public.past_posting
""",
)
