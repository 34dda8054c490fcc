"""Citations: which characters of which document version support which sentence of an answer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

from kowai.claims import Claim, claims_of
from kowai.quoting import Embed, citation_of
from kowai.support import LEAST_SUPPORT, Backing, Reading, backings, support
from kowai.types import Citation, Passage, Statement

Unsupported = Literal["mark", "remove"]
Pair = tuple[str, str]
Confirm = Callable[[Sequence[Pair]], Awaitable[Sequence[bool]]]

UNSUPPORTED = "[unsupported]"


class Cited(NamedTuple):
    """Hold an answer whose markers [1], [2] ... number `citations`, and its sentences one by one."""

    text: str
    citations: tuple[Citation, ...]
    sentences: tuple[Statement, ...]
    supported: float


class Backed(NamedTuple):
    """Hold a span that supports a claim, and how well, in [0, 1]."""

    backing: Backing
    score: float


async def cite(
    answer: str,
    passages: Sequence[Passage],
    embed: Embed,
    *,
    unsupported: Unsupported = "mark",
    confirm: Confirm | None = None,
) -> Cited:
    """Cite for each sentence the spans that support it, numbered in order of appearance.

    A marker is kept only if its passage supports the sentence; where none does, all passages are looked through.
    `confirm` may refuse further (sentence, span) pairs. What nothing supports is marked, or removed.
    """
    claims = claims_of(answer)
    backed = [_best(each) for each in await _supported(claims, passages, embed)]
    if confirm is not None:
        backed = await _confirmed(claims, backed, confirm)
    return _numbered(claims, backed, unsupported)


def fitting(pairs: Sequence[Pair], sizes: Sequence[int], most: int) -> list[int]:
    """Return which (claim, quote) pairs of such sizes fit into `most`: every claim's best quote before any second."""
    before = Counter[str]()
    ranks: list[tuple[int, int]] = []
    for place, (claim, _) in enumerate(pairs):
        ranks.append((before[claim], place))
        before[claim] += 1
    kept: list[int] = []
    for _, place in sorted(ranks):
        if sizes[place] <= most:
            kept.append(place)
            most -= sizes[place]
    return sorted(kept)


async def _supported(claims: Sequence[Claim], passages: Sequence[Passage], embed: Embed) -> list[list[Backed]]:
    """Return for each claim the spans of the passages it names that support it, or else of any passage."""
    named = [[passages[n - 1] for n in claim.marked if 0 < n <= len(passages)] for claim in claims]
    found = await _scored(claims, named, embed)
    rest = [[] if each else list(passages) for each in found]
    second = await _scored(claims, rest, embed) if any(rest) else rest
    return [one or other for one, other in zip(found, second, strict=True)]  # pyright: ignore[reportReturnType]


async def _scored(claims: Sequence[Claim], allowed: Sequence[Sequence[Passage]], embed: Embed) -> list[list[Backed]]:
    readings = [Reading(claim.core) for claim in claims]
    near = [backings(reading, passages) for reading, passages in zip(readings, allowed, strict=True)]
    texts = list(
        dict.fromkeys(t for r, each in zip(readings, near, strict=True) for b in each for t in (r.text, b.quote))
    )
    if not texts:
        return [[] for _ in claims]
    vectors = dict(zip(texts, await embed(texts), strict=True))
    scored = [
        [Backed(b, support(reading, b, float(vectors[reading.text] @ vectors[b.quote]))) for b in each]
        for reading, each in zip(readings, near, strict=True)
    ]
    return [[backed for backed in each if backed.score >= LEAST_SUPPORT] for each in scored]


def _best(backed: Sequence[Backed]) -> list[Backed]:
    """Keep the best span of each passage."""
    best: dict[int, Backed] = {}
    for each in sorted(backed, key=lambda each: -each.score):
        best.setdefault(id(each.backing.passage), each)
    return list(best.values())


async def _confirmed(claims: Sequence[Claim], backed: list[list[Backed]], confirm: Confirm) -> list[list[Backed]]:
    pairs = [(claim.core, each.backing.quote) for claim, found in zip(claims, backed, strict=True) for each in found]
    said = iter(await confirm(pairs) if pairs else [])
    return [[each for each in found if next(said)] for found in backed]


def _numbered(claims: Sequence[Claim], backed: Sequence[Sequence[Backed]], unsupported: Unsupported) -> Cited:
    numbers: dict[tuple[object, int, int], int] = {}
    citations: list[Citation] = []
    pieces: list[str] = []
    statements: list[Statement] = []
    for claim, found in zip(claims, backed, strict=True):
        kept: list[int] = []
        for each in found:
            citation = citation_of(each.backing.passage, each.backing.span, each.score)
            key = (citation.document_id, citation.start, citation.end)
            if key not in numbers:
                citations.append(citation)
                numbers[key] = len(citations)
            kept.append(numbers[key])
        marks = "".join(f" [{number}]" for number in dict.fromkeys(kept)) or f" {UNSUPPORTED}"
        if kept or unsupported == "mark":
            pieces.append((claim.gap if pieces else "") + claim.text + marks)
            statements.append(Statement(text=claim.text, citations=tuple(dict.fromkeys(kept)), supported=bool(kept)))
    supported = sum(map(bool, backed)) / max(1, len(claims))
    return Cited("".join(pieces), tuple(citations), tuple(statements), supported)
