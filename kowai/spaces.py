"""Vector spaces: one is current, another may be built beside it, and no search sees half of each."""

from kowai.indexing import IN_GRAPH

# What decides which space is current holds this lock alone; who writes vectors of the current one shares it.
LOCK = "select pg_advisory_xact_lock(4072002)"

# The application's role may not make indexes, so the owner lends it these two acts.
MAKE_SPACE = """
create or replace function make_space(wanted text, size integer, block text, as_state text) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare made integer;
begin
  insert into embedding_space (model, dimensions, embedder, state) values (wanted, size, block, as_state)
  returning id into made;
  execute format('create index ix_space_%s on chunk_vector using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)'
                 ' with (m = 16, ef_construction = 128) where space_id = %1$s and in_graph', made, size);
  return made;
end $$
"""
DROP_INDEX = """
create or replace function drop_space_index(old integer) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (select from embedding_space where id = old and state = 'dropping') then
    execute format('drop index if exists ix_space_%s', old);
  end if;
end $$
"""

# An empty store takes the first document's space. Null means: another space is current.
OPEN_SPACE = """
create or replace function open_space(wanted text, size integer) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not exists (select from embedding_space) then
    perform pg_advisory_xact_lock(4072002);
    if not exists (select from embedding_space) then
      return make_space(wanted, size, 'kowai', 'current');
    end if;
  end if;
  perform pg_advisory_xact_lock_shared(4072002);
  return (select id from embedding_space where model = wanted and dimensions = size and state = 'current');
end $$
"""
FUNCTIONS = (MAKE_SPACE, DROP_INDEX, OPEN_SPACE)

KEPT_DAYS = 7  # for which the space before the current one can be gone back to

# One that is built and was current before is being gone back to.
COLUMNS = "id, public_id, model, dimensions, embedder, state, state = 'building' and retired_at is not null as restored"
CURRENT = f"select {COLUMNS} from embedding_space where state = 'current'"  # noqa: S608
NAMED = f"select {COLUMNS} from embedding_space where public_id = :public_id"  # noqa: S608
SAME = f"select {COLUMNS} from embedding_space where model = :model and dimensions = :dimensions"  # noqa: S608
KEPT = f"""
select {COLUMNS} from embedding_space
where state = 'retired' and retired_at > now() - interval '{KEPT_DAYS} days' order by retired_at desc limit 1
"""  # noqa: S608
LISTED = """
select public_id, model, dimensions, embedder, state, evaluation from embedding_space
order by state <> 'current', id desc
"""
MAKE = "select make_space(:model, :dimensions, :embedder, 'building')"
BUILD_AGAIN = """
update embedding_space set state = 'building', embedder = :embedder, evaluation = '{}', retired_at = null,
  built_by = null, begun_at = now()
where id = :id and state in ('retired', 'building') and not at_work(built_by)
"""
RESTORE = """
update embedding_space set state = 'building', evaluation = '{}', built_by = null, begun_at = now()
where id = :id and state = 'retired'
"""
# Whoever has begun one and does not build it yet may be waiting for a worker; one that waits for money stays, unless
# somebody wants another.
ABANDON = """
update embedding_space set state = 'retired', built_by = null where state = 'building'
  and case when jsonb_exists(evaluation, 'waiting') then :waiting_too and not at_work(coalesce(built_by, 0))
    when built_by is null then begun_at < now() - interval '1 day' else not at_work(built_by) end
"""
PAUSE = """
update embedding_space set evaluation = cast(:evaluation as jsonb), built_by = null
where id = :id and state = 'building'
"""
WAITING = f"""
select {COLUMNS}, evaluation -> 'waiting' ->> 'allowed_loss' as allowed_loss from embedding_space
where state = 'building' and jsonb_exists(evaluation, 'waiting') and not at_work(coalesce(built_by, 0))
"""  # noqa: S608
HOLD = """
update embedding_space set built_by = :by
where id = :id and state = 'building' and (built_by = :by or not at_work(built_by))
"""
IS_HELD = "select state = 'building' and at_work(built_by) from embedding_space where id = :id"
DROPPING = f"""
with kept as ({KEPT}), begun as (
  update embedding_space set state = 'dropping' where state = 'retired' and id not in (select id from kept)
    and (:unfinished or retired_at is not null) returning id
)
select id from begun union select id from embedding_space where state = 'dropping'
"""  # noqa: S608
DROP_INDEX_OF = "select drop_space_index(:id)"
GONE = "delete from embedding_space where id = :id and state = 'dropping'"
ASKED = """
select q.standalone, a.citations from answer a join query q on q.id = a.query_id
where not a.abstained and a.citations <> '[]' and q.filters = '{}' order by a.created_at desc limit :limit
"""
SWITCH = (
    "update embedding_space set state = 'retired', retired_at = now() where state = 'current'",
    "update embedding_space set state = 'current', retired_at = null, built_by = null where id = :id",
)
IS_BUILDING = "select state = 'building' from embedding_space where id = :id for update"
RETIRE = "update embedding_space set state = 'retired', built_by = null where id = :id and state = 'building'"
EVALUATED = "update embedding_space set evaluation = cast(:evaluation as jsonb) where id = :id"

# Chunks of today and of replaced versions, and where their vectors are.
HOMES = (("chunk", "chunk_vector"), ("past_chunk", "past_vector"))


def bare(chunks: str, vectors: str) -> str:
    """Return the SQL that lists chunks without a vector of a space, by rising id."""
    return f"""
select c.id, c.document_id, v.title, d.external_id, c.heading_path, c.text
from {chunks} c join document_version v on v.document_id = c.document_id and v.version = c.version
join document d on d.id = c.document_id
where c.id > :after and not exists (select from {vectors} as known where known.chunk_id = c.id and space_id = :space)
order by c.id limit :limit
"""  # noqa: S608


def count(chunks: str, vectors: str) -> str:
    """Return the SQL that counts chunks without a vector of a space."""
    return f"""
select count(*) from {chunks} c
where not exists (select from {vectors} as known where known.chunk_id = c.id and space_id = :space)
"""  # noqa: S608


def clothe(chunks: str, vectors: str) -> str:
    """Return the SQL that gives chunks their vectors; one that is being deleted goes without.

    No foreign key holds today's vectors to their chunks, so the lock does.
    """
    today = chunks == "chunk"
    lock, columns, values = ("for key share", ", in_graph, digest", f", {IN_GRAPH}, digest") if today else ("", "", "")
    return f"""
with held as materialized (select id, tenant_id from {chunks} where id = any(:ids) order by id {lock})
insert into {vectors} (chunk_id, space_id, tenant_id, embedding{columns})
select held.id, :space, held.tenant_id, cast(new.embedding as halfvec){values}
from unnest(cast(:ids as bigint[]), cast(:embeddings as text[]), cast(:digests as uuid[]))
  as new(id, embedding, digest) join held using (id)
on conflict do nothing
"""  # noqa: S608


def forget(vectors: str) -> str:
    """Return the SQL that deletes some vectors of a space."""
    return f"""
delete from {vectors} where (chunk_id, space_id) in
  (select chunk_id, space_id from {vectors} where space_id = :space limit :limit)
"""  # noqa: S608
