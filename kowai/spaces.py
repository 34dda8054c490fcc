"""The vector space of a store: one model and dimension, with an index of its own."""

# The application's role may not make indexes, so the owner lends it this one act. Null means: another space is open.
OPEN_SPACE = """
create function open_space(wanted text, size integer) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare found integer;
begin
  perform pg_advisory_xact_lock(4072002);
  select id into found from embedding_space where model = wanted and dimensions = size;
  if found is null and not exists (select from embedding_space) then
    insert into embedding_space (model, dimensions) values (wanted, size) returning id into found;
    execute format('create index ix_space_%s on chunk_vector using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)'
                   ' with (m = 16, ef_construction = 64) where space_id = %1$s', found, size);
  end if;
  return found;
end $$
"""
