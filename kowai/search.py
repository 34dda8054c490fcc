"""The two statements of a hybrid search: survey what the question's terms and filters are worth, then find."""
# ruff: noqa: S608 -- what a client wrote is a parameter, never text

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kowai.filters import Filters, condition
from kowai.indexing import FEW_VECTORS, stem
from kowai.ranking import Wanted
from kowai.terms import counted, plain_words

K1, B = 1.2, 0.75
POSTINGS = 20_000  # that one search may read to propose candidates, and that it reads of one term
FEW = 20_000  # chunks admitted by filters that are compared one by one
COMMON = 0.5  # of the chunks: whoever holds a term of so many is hardly better for it
TERMS = 100  # the rarest ones of a question; a pasted page has more
# Until the transaction ends. The vector index is scanned on past strangers until there are candidates enough; and since
# the planner takes all tenants for equally large, it would look for a small one's vectors by reading everybody's.
SETTINGS = {
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": 300,
    "hnsw.max_scan_tuples": 50_000,
    "hnsw.scan_mem_multiplier": 8,
    "enable_seqscan": "off",
}

Statement = tuple[str, dict[str, Any]]
Vector = Sequence[float] | NDArray[np.float32]


class Term(NamedTuple):
    """Hold a term of the question: how often it is asked in which words, and in how many chunks it occurs how often."""

    text: str
    words: Sequence[str]
    asked: int
    chunks: int
    occurrences: int


class Survey(NamedTuple):
    """Hold what is known before searching; `scope` counts the chunks that filters admit, up to FEW + 1."""

    terms: Sequence[Term]
    chunks: int
    words: int
    vectors: int
    scope: int
    space_id: int | None

    @property
    def exact(self) -> bool:
        """Tell whether comparing all of the tenant's vectors beats the index that it shares with all tenants.

        One by one costs time in proportion to the tenant; the index, to how many strangers it meets on the way.
        """
        return self.chunks <= max(FEW_VECTORS, math.isqrt(5_000 * self.vectors))


class Weighted(NamedTuple):
    """Hold the question's terms by falling rarity; the first `affordable` ones propose chunks, all score them."""

    terms: list[str]
    weights: list[float]
    affordable: int
    wanted: Wanted


# A retired space is whole until it is dropped, a space that is being built is not.
SEARCHED, TRIED = ["current", "retired"], ["building", "current"]


def survey(question: str, filters: Filters, *, space: str, dimensions: int, trial: bool = False) -> Statement:
    """Return the statement that tells the question's terms from its words and counts both sides of the search."""
    counts = counted((question, 1))
    holds, parameters = condition(filters)
    scope = f"(select count(*) from ({_scope(holds)} limit {FEW + 1}) as admitted)" if holds else "null"
    sql = f"""
with word as (
  select {stem("word")} as term, sum(count) as asked, array_agg(word) as words
  from unnest(%(words)s::text[], %(counts)s::integer[]) as w(word, count) group by 1
), asked as (
  select term, asked, words from word where term is not null union all select '', 1, null
)
select asked.term, asked.words, asked.asked, coalesce(sum(c.chunks), 0), coalesce(sum(c.occurrences), 0), {scope},
       (select id from embedding_space
        where model = %(space)s and dimensions = %(dimensions)s and state = any(%(states)s)),
       (select reltuples::bigint from pg_class where oid = 'chunk_vector'::regclass),
       {", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())}
from asked left join term_count as c on c.tenant_id = (select current_tenant()) and c.term = asked.term
group by asked.term, asked.words, asked.asked
"""
    sought = {"space": space, "dimensions": dimensions, "states": TRIED if trial else SEARCHED}
    return sql, parameters | sought | {"words": list(counts), "counts": list(counts.values())}


def surveyed(rows: Sequence[Sequence[Any]]) -> Survey:
    """Return what the survey's rows say; a term that no chunk holds cannot tell chunks apart and is left out."""
    terms = [Term(text, words or (), *map(int, counts)) for text, words, *counts in (row[:5] for row in rows)]
    (every,) = [term for term in terms if not term.text]
    found = [term for term in terms if term.text and term.chunks > 0]
    scope, space_id, vectors = rows[0][5:8]
    scope = every.chunks if scope is None else scope
    return Survey(found, every.chunks, every.occurrences, max(0, vectors), scope, space_id)


def weigh(question: str, known: Survey) -> Weighted:
    """Weigh each term by its rarity and how often it is asked.

    A match is strong when it scores as one term in a single chunk would, times the square root of the terms asked:
    what chance adds to a score grows as that root.
    """
    rarest = sorted(known.terms, key=lambda term: (term.chunks, term.text))[:TERMS]
    rarity = [_rarity(term.chunks, known.chunks) for term in rarest]
    read = accumulate(term.chunks for term in rarest)
    telling = [term is rarest[0] or term.chunks <= COMMON * known.chunks for term in rarest]
    words_rarity = {word: weight for term, weight in zip(rarest, rarity, strict=True) for word in term.words}
    asked, unique = sum(term.asked for term in rarest), _rarity(1, max(1, known.chunks))
    return Weighted(
        terms=[term.text for term in rarest],
        weights=[term.asked * weight for term, weight in zip(rarest, rarity, strict=True)],
        affordable=sum(tells and postings <= POSTINGS for tells, postings in zip(telling, read, strict=True)),
        wanted=Wanted(
            question, plain_words(question), words_rarity, unique, (K1 + 1) * unique * math.sqrt(max(1, asked))
        ),
    )


def _rarity(holding: int, chunks: int) -> float:
    """Return the inverse document frequency, as Lucene's BM25 counts it."""
    return math.log1p(max(0.0, chunks - holding + 0.5) / (holding + 0.5))


# Each `offset 0` keeps a look-up a look-up: statistics that lag behind a tenant's growth cannot turn it into a scan.
def find(vector: Vector, known: Survey, weighted: Weighted, filters: Filters, *, space_id: int, pool: int) -> Statement:
    """Return the statement that scores, by both halves, every chunk that either half proposes."""
    holds, parameters = condition(filters)
    few = bool(holds) and known.scope <= FEW
    dense = _exact_dense if few or known.exact else _indexed_dense
    sql = f"""
with {f"scope as materialized ({_scope(holds)})," if few else ""}
matching as materialized ({_matching(few)}),
lexical as materialized ({_lexical("" if few else holds)}),
dense as materialized ({dense(holds, few, space_id, len(vector))}),
candidate as materialized (select chunk_id from lexical union select chunk_id from dense),
rare as materialized ({_rare(weighted)})
select candidate.chunk_id, c.document_id, d.external_id, d.title, c.version, c.page, c.start_char, c.end_char,
       c.heading_path, c.text, 1 - (v.embedding <=> %(vector)s::halfvec),
       coalesce(rare.score, 0) + coalesce(common.score, 0), halfvec_send(v.embedding)
from candidate
cross join lateral (select * from chunk where chunk.id = candidate.chunk_id offset 0) as c
cross join lateral (select * from document where document.id = c.document_id offset 0) as d
left join lateral (
  select embedding from chunk_vector where chunk_id = candidate.chunk_id and space_id = {space_id:d} offset 0
) as v on true
left join rare on rare.chunk_id = candidate.chunk_id
left join lateral ({_common()}) as common on true
"""
    return sql, parameters | {
        "vector": str([float(number) for number in vector]),
        "pool": pool,
        "rare": weighted.terms[: weighted.affordable or 1],
        "rare_weights": weighted.weights[: weighted.affordable or 1],
        "common": weighted.terms[weighted.affordable :],
        "common_weights": weighted.weights[weighted.affordable :],
        "mean_length": known.words / max(known.chunks, 1),
    }


_BM25 = (
    f"sum(q.weight * p.frequency * {K1 + 1}::float8 / (p.frequency + {K1 * (1 - B):.2f}::float8"
    f" + {K1 * B:.2f}::float8 * p.length / %(mean_length)s::float8))"
)


def _scope(holds: str) -> str:
    return f"select c.id from document as d join chunk as c on c.document_id = d.id where {holds}"


def _admits(holds: str, alias: str) -> str:
    """Return the test of one candidate; `offset 0` keeps it a test, run in order until the limit is met."""
    return f"where exists ({_scope(holds)} and c.id = {alias}.chunk_id offset 0)" if holds else ""


def _matching(few: bool) -> str:
    return f"""
  select p.chunk_id, {_BM25} as score from unnest(%(rare)s::text[], %(rare_weights)s::float8[]) as q(term, weight)
  cross join lateral (
    select * from posting where tenant_id = (select current_tenant()) and posting.term = q.term limit {POSTINGS}
  ) as p {"where p.chunk_id in (select id from scope)" if few else ""} group by p.chunk_id"""


def _lexical(holds: str) -> str:
    return f"""
  select chunk_id from (select chunk_id from matching order by score desc, chunk_id) as matching
  {_admits(holds, "matching")} limit %(pool)s"""


def _rare(weighted: Weighted) -> str:
    """Keep the candidates' scores; `is true` keeps the test a look-up in a hash table."""
    known = "(chunk_id in (select chunk_id from candidate)) is true" if weighted.affordable else "false"
    return f"select * from matching where {known}"


def _common() -> str:
    """Score a candidate's terms that were too common to propose any."""
    return f"""
  select {_BM25} as score from unnest(%(common)s::text[], %(common_weights)s::float8[]) as q(term, weight)
  cross join lateral (
    select * from posting where tenant_id = (select current_tenant()) and posting.term = q.term
    and chunk_id = candidate.chunk_id offset 0
  ) as p"""


def _exact_dense(holds: str, few: bool, space_id: int, _dimensions: int) -> str:
    """Compare every vector: the function around the distance hides it from the index."""
    only = "and v.chunk_id in (select id from scope)" if few else ""
    return f"""
  select chunk_id from (
    select v.chunk_id, v.embedding <=> %(vector)s::halfvec as distance from chunk_vector as v
    where v.tenant_id = (select current_tenant()) and v.space_id = {space_id:d} {only} offset 0
  ) as measured {"" if few else _admits(holds, "measured")} order by distance, chunk_id limit %(pool)s"""


def _indexed_dense(holds: str, _few: bool, space_id: int, dimensions: int) -> str:
    """Look up the graph, and compare the vectors that are outside of it one by one."""
    own = f"v.tenant_id = (select current_tenant()) and v.space_id = {space_id:d}"
    distance = f"v.embedding::halfvec({dimensions:d}) <=> %(vector)s::halfvec({dimensions:d})"
    return f"""
  select chunk_id from (
    (select v.chunk_id, {distance} as distance from chunk_vector as v
     {_admits(holds, "v") or "where true"} and {own} and v.in_graph order by {distance} limit %(pool)s)
    union all
    (select chunk_id, distance from (
       select v.chunk_id, {distance} as distance from chunk_vector as v where {own} and not v.in_graph offset 0
     ) as outside {_admits(holds, "outside")} order by distance, chunk_id limit %(pool)s)
  ) as proposed order by distance, chunk_id limit %(pool)s"""
