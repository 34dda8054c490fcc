"""Documents that their source does not hold any more, as SQL over what its walks found.

Only a walk that saw everything tells: one that found the source, a folder in it or an archive closed leaves all as it
is, and so does one that found nothing, for an empty folder is what a disk that is not mounted looks like.
"""

# Another source, or an upload, that holds the document keeps it. `materialized` and `offset 0` hold the planner, which
# knows little of a young table, to walks first and their items after: most ingestions have no walk at all.
VANISHED = """
with walk as materialized (
  select s.id, walks.value -> 'gone' as gone
  from ingestion i cross join lateral jsonb_each(case when i.walks = 'null' then '{}' else i.walks end) as walks
  join source s on s.id = cast(walks.key as uuid)
  where i.id = :ingestion and s.vanished = :policy and walks.value ? 'gone'
), vanished as (
  select distinct old.external_id
  from walk cross join lateral (
    select * from ingestion_item
    where source_id = walk.id and state in ('indexed', 'unchanged') and ingestion_id <> :ingestion offset 0
  ) as old
  where (walk.gone = 'null' or exists (
      select from jsonb_array_elements_text(case when walk.gone = 'null' then '[]' else walk.gone end) as gone(name)
      where coalesce(old.details ->> 'origin', old.uri) = gone.name
        or starts_with(coalesce(old.details ->> 'origin', old.uri), gone.name || '!/')))
    and exists (select from document d where d.external_id = old.external_id)
    and not exists (
      select from ingestion_item found where found.ingestion_id = :ingestion and found.external_id = old.external_id)
    and not exists (
      select from ingestion_item other where other.external_id = old.external_id
        and other.source_id is distinct from walk.id and other.state in ('indexed', 'unchanged'))
)
"""

LIST = "select external_id from vanished"
MARK = """
update document set vanished_at = now()
where vanished_at is null and external_id in (select external_id from vanished)
"""
UNMARK = """
update document set vanished_at = null where vanished_at is not null and external_id in (
  select external_id from ingestion_item where ingestion_id = :ingestion and state in ('indexed', 'unchanged'))
"""
REMEMBER = """
update source s set marks = walks.value -> 'marks', walked_at = now()
from ingestion i cross join lateral jsonb_each(case when i.walks = 'null' then '{}' else i.walks end) as walks
where i.id = :ingestion and s.id = cast(walks.key as uuid)
"""
