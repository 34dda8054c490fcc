"""The graph of documents as SQL: a reference leads to the document that lies where it points."""
# ruff: noqa: S608 -- only constants are put into the text

WRITE = """
insert into relation (tenant_id, document_id, kind, target, path, base, start_char, end_char)
select (select current_tenant()), new.* from unnest(cast(:documents as uuid[]), cast(:kinds as text[]),
  cast(:targets as text[]), cast(:paths as text[]), cast(:bases as text[]), cast(:starts as integer[]),
  cast(:ends as integer[])) as new
"""
FORGET = "delete from relation where document_id = any(:documents)"

_NAMED = """named as materialized (
  select id, external_id, lower(regexp_replace(external_id, '^.*[/\\\\]', '')) as base from document
)"""
_LEADS = "n.base = r.base and (n.external_id = r.path or right(n.external_id, length(r.path) + 1) = '/' || r.path)"
_SHOWN = """
select s.external_id as source, r.kind, r.target, n.external_id as target_document, r.start_char as start,
       r.end_char as end, substr(v.text, r.start_char + 1, least(r.end_char - r.start_char, 500)) as evidence
"""
_SOURCE = """join named s on s.id = r.document_id
join document d on d.id = r.document_id join document_version v on v.document_id = d.id and v.version = d.version"""


def neighbours(*, incoming: bool) -> str:
    """Return the SQL of all references within `depth` steps of the document :name, in one direction."""
    here, there = ("n.id", "r.document_id") if incoming else ("r.document_id", "n.id")
    edge = "join" if incoming else "left join"
    return f"""
with recursive {_NAMED}, reached(id, depth) as (
  select id, 0 from named where external_id = :name
  union
  select {there}, reached.depth + 1 from relation r join named n on {_LEADS} join reached on reached.id = {here}
  where reached.depth < :depth and r.kind = any(:kinds)
), near as (select id, min(depth) as depth from reached group by id)
{_SHOWN}, near.depth + 1 as depth
from relation r {edge} named n on {_LEADS} join near on near.id = {here} {_SOURCE}
where near.depth < :depth and r.kind = any(:kinds) order by near.depth, source, r.start_char limit :limit
"""


PATH = f"""
with recursive {_NAMED}, step as materialized (
  select distinct on (r.document_id, n.id) r.document_id as source, n.id as target, r.id
  from relation r join named n on {_LEADS} where r.kind = any(:kinds) and n.id <> r.document_id
), way(here, steps, seen) as (
  select id, array[]::bigint[], array[id] from named where external_id = :start
  union all
  select step.target, way.steps || step.id, way.seen || step.target from way join step on step.source = way.here
  where cardinality(way.steps) < :depth and not step.target = any(way.seen)
), shortest as (
  select steps from way join named on named.id = way.here and named.external_id = :finish
  order by cardinality(steps) limit 1
)
{_SHOWN}, taken.place as depth
from shortest cross join lateral unnest(shortest.steps) with ordinality as taken(id, place)
join relation r on r.id = taken.id join named n on {_LEADS} {_SOURCE} order by taken.place
"""

EVERYTHING = f"""
with {_NAMED}
{_SHOWN}, 1 as depth from relation r left join named n on {_LEADS} {_SOURCE} order by source, r.start_char
"""
EXISTS = "select exists (select from document where external_id = :name)"
