"""A store of made-up chunks, filled by its owner in bulk: the rows that documents' statements write, in less time.

What makes single documents dear is left to the end: row-level security, triggers, and indexes row by row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any, LiteralString, NamedTuple, cast
from uuid import UUID, uuid4

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.search_ground import SPACE, Source, Vectors
from kowai.indexing import FEW_VECTORS, LARGEST, TITLE_WEIGHT, digest_of, embedded_text, stem
from kowai.terms import counted
from kowai.types import Chunk

CHUNKS_A_DOCUMENT, CHUNKS_A_BATCH = 10, 2_000

# Safe only because a store that was not filled to its end is thrown away.
HASTY: Sequence[LiteralString] = ("fsync = off", "full_page_writes = off", "autovacuum = off", "max_wal_size = '16GB'")
BUILDING: Sequence[LiteralString] = (
    "maintenance_work_mem = '3GB'",
    "work_mem = '1GB'",
    "max_parallel_maintenance_workers = 1",
    "session_replication_role = replica",  # no triggers
)
SLOW_INDEXES = """
select format('alter table posting drop constraint %I', conname),
       format('alter table posting add constraint %I %s', conname, pg_get_constraintdef(oid))
from pg_constraint where conrelid = 'posting'::regclass and contype = 'p'
union all
select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
from pg_index where indrelid = any('{posting, chunk_vector}'::regclass[]) and not indisunique
"""
STEMS = cast("LiteralString", f"select word, {stem('word')} from unnest(%s::text[]) as word")
COUNT_TERMS = """
insert into term_count (tenant_id, term, chunks, occurrences)
select tenant_id, term, count(*), sum(frequency) from posting group by tenant_id, term
"""
DOCUMENTS = "copy document (id, tenant_id, external_id, origin, title, media_type, version, content_hash) from stdin"
CHUNKS = (
    "copy chunk (id, tenant_id, document_id, version, ordinal, start_char, end_char, heading_path, text, length)"
    " from stdin"
)
VECTORS = "copy chunk_vector (chunk_id, space_id, tenant_id, embedding, in_graph, digest) from stdin (format binary)"
VECTOR_TYPES = ("int8", "int4", "uuid", "halfvec", "bool", "uuid")
POSTINGS = "copy posting (tenant_id, term, chunk_id, frequency, length) from stdin"

Made = tuple[Source, list[Chunk], Vectors]


class Held(NamedTuple):
    """Hold a new chunk of a tenant's document."""

    id: int
    tenant: UUID
    document: UUID
    source: Source
    chunk: Chunk
    vector: Any
    in_graph: bool

    @property
    def words(self) -> Counter[str]:
        return counted((self.source.title or "", TITLE_WEIGHT), (self.chunk.text, 1))


def load(owner: psycopg.Connection, documents: Iterable[Made], tenants: Sequence[UUID]) -> None:
    """Write documents into an empty store, one for each of `tenants`, who are the same ones again and again."""
    register_vector(owner)
    for setting in HASTY:
        owner.execute(f"alter system set {setting}")
    owner.execute("select pg_reload_conf()")
    for setting in BUILDING:
        owner.execute(f"set {setting}")
    row = owner.execute("select open_space(%s, %s)", SPACE).fetchone()
    assert row
    slow = owner.execute(SLOW_INDEXES).fetchall()
    for drop, _ in slow:
        owner.execute(cast("LiteralString", drop))
    _fill(owner, documents, tenants, row[0])
    for _, make in slow:
        owner.execute(cast("LiteralString", make))
    owner.execute(COUNT_TERMS)
    owner.execute("select setval(pg_get_serial_sequence('chunk', 'id'), (select max(id) from chunk))")
    owner.execute("vacuum analyze")
    for setting in HASTY:
        owner.execute(f"alter system reset {setting.partition(' ')[0]}")
    owner.execute("select pg_reload_conf()")
    owner.execute("checkpoint")


def _fill(owner: psycopg.Connection, documents: Iterable[Made], tenants: Sequence[UUID], space: int) -> None:
    stems, held = dict[str, str | None](), _held(documents, tenants)
    while batch := list(islice(held, CHUNKS_A_BATCH)):
        words = [each.words for each in batch]
        _learn(owner, stems, {word for counts in words for word in counts})
        terms = [_terms(counts, stems) for counts in words]
        _copy_rows(owner, batch, [sum(each.values()) for each in terms], space)
        with owner.cursor().copy(POSTINGS) as copy:
            copy.write("".join(_postings(each, own) for each, own in zip(batch, terms, strict=True)))
        if batch[-1].id % (25 * CHUNKS_A_BATCH) == 0:
            print(f"{batch[-1].id:>9,} chunks written", flush=True)


def _held(documents: Iterable[Made], tenants: Sequence[UUID]) -> Iterator[Held]:
    """Number the chunks; the first ones of a tenant that is not large stay outside of the graph, as IN_GRAPH says."""
    left = {tenant: _outside(CHUNKS_A_DOCUMENT * times) for tenant, times in Counter(tenants).items()}
    ids = count(1)
    for tenant, (source, chunks, vectors) in zip(tenants, documents, strict=True):
        document = uuid4()
        for chunk, vector in zip(chunks, vectors, strict=True):
            yield Held(next(ids), tenant, document, source, chunk, vector, in_graph=left[tenant] <= 0)
            left[tenant] -= 1


def _outside(size: int) -> int:
    """Return how many of a tenant's vectors are outside of the graph: each one beyond the first few took one along."""
    return size if size <= FEW_VECTORS else max(0, 2 * FEW_VECTORS - size)


def _learn(owner: psycopg.Connection, stems: dict[str, str | None], words: set[str]) -> None:
    stems.update(owner.execute(STEMS, (list(words - stems.keys()),)).fetchall())


def _terms(counts: Counter[str], stems: dict[str, str | None]) -> Counter[str]:
    terms: Counter[str] = Counter()
    for word, times in counts.items():
        if term := stems[word]:
            terms[term] += times
    return terms


def _copy_rows(owner: psycopg.Connection, batch: Sequence[Held], lengths: Sequence[int], space: int) -> None:
    with owner.cursor().copy(DOCUMENTS) as copy:
        for one in {each.document: each for each in batch if each.chunk.ordinal == 0}.values():
            source = one.source
            copy.write_row((one.document, one.tenant, source.name, "benchmark", source.title, "text/plain", 1, ""))
    with owner.cursor().copy(CHUNKS) as copy:
        for one, length in zip(batch, lengths, strict=True):
            ordinal, start, end, _, headings, text = one.chunk
            copy.write_row((one.id, one.tenant, one.document, 1, ordinal, start, end, headings, text, length))
    with owner.cursor().copy(VECTORS) as copy:
        copy.set_types(VECTOR_TYPES)
        for one in batch:
            digest = digest_of(embedded_text(one.source.title, one.chunk))
            copy.write_row((one.id, space, one.tenant, HalfVector(one.vector), one.in_graph, digest))


def _postings(one: Held, terms: Counter[str]) -> str:
    """Return a chunk's lines; words hold nothing that COPY would take for an end of them."""
    length = min(LARGEST, sum(terms.values()))
    held = [("", length), *((term, min(LARGEST, times)) for term, times in terms.items())]
    return "".join(f"{one.tenant}\t{term}\t{one.id}\t{times}\t{length}\n" for term, times in held)
