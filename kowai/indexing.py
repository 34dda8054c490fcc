"""The SQL that keeps vectors, postings and term counts in step with the chunks they describe."""
# ruff: noqa: S608 -- only constants are put into the text

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kowai.terms import counted
from kowai.types import Chunk

# What a chunk's title and headings say is said of the whole chunk, so their words count as if written in it.
TITLE_WEIGHT = 2
HEADING_WEIGHT = 1
LARGEST = 32_767  # a smallint
FEW_VECTORS = 10_000  # of a tenant: comparing so many one by one beats any index

# The graph is the dearest part of writing a vector, and a small tenant's searches never look at it: the first vectors
# of every tenant stay outside and are compared one by one.
IN_GRAPH = f"""(
  select coalesce(sum(chunks), 0) >= {FEW_VECTORS} from term_count
  where tenant_id = (select current_tenant()) and term = ''
)"""


def stem(word: str) -> str:
    """Return the SQL that turns the word in SQL expression `word` into its term, null for a stop word."""
    return f"(ts_lexize('english_stem', {word}))[1]"


# A row that another writer holds is left alone and its count continued in a new row: writers never wait. The shape of
# the sub-queries holds the planner to one look-up a term whatever its statistics say, planned once a session; a nested
# loop where rows are changed would compare every term with every other, which took five times as long as all the rest.
COUNT_TERMS = """
create function count_terms(owner uuid, terms text[], chunks bigint[], occurrences bigint[]) returns void
language plpgsql set plan_cache_mode = force_generic_plan set enable_nestloop = off as $$
begin
  with change as materialized (
    select * from unnest(terms, chunks, occurrences) as change(term, chunks, occurrences)
  ), held as materialized (
    select change.*, t.id, t.chunks as old_chunks, t.occurrences as old_occurrences from change cross join lateral
      (select * from term_count where tenant_id = owner and term = change.term for update skip locked) as t
  ), kept as materialized (
    select term, min(id) as id, (min(held.chunks) + sum(old_chunks))::bigint as chunks,
           (min(held.occurrences) + sum(old_occurrences))::bigint as occurrences
    from held group by term
  ), dropped as (
    delete from term_count where id = any
      (array(select id from held except select id from kept where (kept.chunks, kept.occurrences) <> (0, 0)))
  ), changed as (
    update term_count as t set chunks = kept.chunks, occurrences = kept.occurrences from kept
    where t.id = any (array(select id from kept where (kept.chunks, kept.occurrences) <> (0, 0))) and t.id = kept.id
  )
  insert into term_count (tenant_id, term, chunks, occurrences)
  select owner, term, change.chunks, change.occurrences from change where term not in (select term from kept);
end $$
"""

COUNT_POSTINGS = """
create function count_postings() returns trigger language plpgsql as $$
declare sign integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
  perform count_terms(owner, array_agg(term), array_agg(sign * chunks), array_agg(sign * occurrences)) from (
    select tenant_id as owner, term, count(*) as chunks, sum(frequency) as occurrences
    from touched group by tenant_id, term
  ) as change group by owner;
  return null;
end $$
"""

FORGET_CHUNKS = """
create function forget_chunks() returns trigger language plpgsql as $$
begin
  delete from posting using gone where posting.tenant_id = gone.tenant_id and posting.chunk_id = gone.id;
  delete from chunk_vector using gone where chunk_vector.chunk_id = gone.id;
  return null;
end $$
"""

# Run once by the owner of the tables, after they exist.
TRIGGERS = (
    COUNT_TERMS,
    COUNT_POSTINGS,
    FORGET_CHUNKS,
    "create trigger count_added after insert on posting referencing new table as touched "
    "for each statement execute function count_postings()",
    "create trigger count_removed after delete on posting referencing old table as touched "
    "for each statement execute function count_postings()",
    "create trigger forget_chunks after delete on chunk referencing old table as gone "
    "for each statement execute function forget_chunks()",
    "alter table chunk_vector alter column embedding set storage plain",  # a vector in TOAST is five times slower
    "alter table term_count set (fillfactor = 70)",
)


class IndexedDocument(NamedTuple):
    """Hold a document's chunks and their vectors, one row of `vectors` a chunk."""

    document_id: UUID
    version: int
    title: str | None
    chunks: Sequence[Chunk]
    vectors: Sequence[Any]


class ChunkColumns(NamedTuple):
    """Hold new chunks column by column, as arrays that one statement takes in."""

    document_id: list[UUID]
    version: list[int]
    ordinal: list[int]
    start_char: list[int]
    end_char: list[int]
    page: list[int | None]
    heading_path: list[str]
    text: list[str]
    embedding: list[Any]
    digest: list[UUID]


class WordColumns(NamedTuple):
    """Say how many `times` the new chunk of number `chunk`, from 1, holds the word of number `word`, from 1."""

    chunk: NDArray[np.int32]
    word: NDArray[np.int32]
    times: NDArray[np.int32]
    words: list[str]


# Arrays go past what a COPY may not: row-level security refuses it.
WRITE_CHUNKS = f"""
with new as materialized (
  select nextval((select cast(pg_get_serial_sequence('chunk', 'id') as regclass))) as id, new.* from unnest(
    %(document_id)b::uuid[], %(version)b::integer[], %(ordinal)b::integer[], %(start_char)b::integer[],
    %(end_char)b::integer[], %(page)b::integer[], %(heading_path)b::text[], %(text)b::text[], %(embedding)b::halfvec[],
    %(digest)b::uuid[]
  ) with ordinality as new(document_id, version, ordinal, start_char, end_char, page, heading_path, text, embedding,
    digest, no)
), occurrence as materialized (
  select * from unnest(%(chunk)b::integer[], %(word)b::integer[], %(times)b::integer[]) as occurrence(no, word, times)
), stem as materialized (
  select no as word, {stem("word")} as term from unnest(%(words)b::text[]) with ordinality as known(word, no)
), found as materialized (
  select no, term, sum(times) as frequency from occurrence join stem using (word)
  where term is not null group by no, term
), size as materialized (
  select no, coalesce(sum(frequency), 0) as length from new left join found using (no) group by no
), chunks as (
  insert into chunk
    (id, tenant_id, document_id, version, ordinal, start_char, end_char, page, heading_path, text, length)
  select id, (select current_tenant()), document_id, version, ordinal, start_char, end_char, page, heading_path, text,
    length from new join size using (no)
), vectors as (
  insert into chunk_vector (chunk_id, space_id, tenant_id, embedding, in_graph, digest)
  select id, %(space_id)s, (select current_tenant()), embedding, {IN_GRAPH}, digest from new
)
insert into posting (tenant_id, term, chunk_id, frequency, length)
select (select current_tenant()), term, id, least(frequency, {LARGEST}), least(length, {LARGEST})
from (select * from found union all select no, '', length from size) as held
join size using (no) join new using (no) order by term, id
"""

# A tenant that has grown large takes as many of its first vectors into the graph as it adds, until none are outside.
ENTER_GRAPH = f"""
with first as materialized (
  select chunk_id, space_id from chunk_vector
  where {IN_GRAPH} and tenant_id = (select current_tenant()) and space_id = %(space_id)s and not in_graph
  limit %(most)s for update skip locked
)
update chunk_vector set in_graph = true where (chunk_id, space_id) in (select chunk_id, space_id from first)
"""

# The vectors of texts that the tenant's knowledge holds already.
KNOWN_VECTORS = """
select asked.digest, known.embedding from unnest(%(digests)s::uuid[]) as asked(digest) cross join lateral (
  select halfvec_send(embedding) as embedding from chunk_vector
  where tenant_id = (select current_tenant()) and digest = asked.digest and space_id = %(space_id)s limit 1
) as known
"""


def chunk_columns(documents: Iterable[IndexedDocument]) -> ChunkColumns:
    """Return the chunks of several documents, numbered through in this order."""
    rows: list[tuple[Any, ...]] = [
        (document.document_id, document.version, *chunk, vector, digest_of(embedded_text(document.title, chunk)))
        for document in documents
        for chunk, vector in zip(document.chunks, document.vectors, strict=True)
    ]
    return ChunkColumns(*([row[column] for row in rows] for column in range(len(ChunkColumns._fields))))


def word_columns(documents: Iterable[IndexedDocument]) -> WordColumns:
    """Return the words of every chunk's title, headings and text."""
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers) + 1)
    held: list[int] = []
    word: list[int] = []
    times: list[int] = []
    for title, chunk in ((document.title or "", chunk) for document in documents for chunk in document.chunks):
        counts = counted((title, TITLE_WEIGHT), (chunk.heading_path, HEADING_WEIGHT), (chunk.text, 1))
        held.append(len(counts))
        word += [numbers[each] for each in counts]
        times += counts.values()
    chunk_numbers = np.repeat(np.arange(1, len(held) + 1, dtype=np.int32), held)
    return WordColumns(chunk_numbers, np.array(word, np.int32), np.array(times, np.int32), list(numbers))


def digest_of(text: str) -> UUID:
    """Return what the vector of a text is found again by: 128 bits of its SHA-256."""
    return UUID(bytes=sha256(text.encode(errors="replace")).digest()[:16])


def embedded_text(title: str | None, chunk: Chunk) -> str:
    """Return what is embedded for a chunk: its title, headings and text, so that it is understood out of context."""
    return "\n".join(part for part in (title, chunk.heading_path, chunk.text) if part)
