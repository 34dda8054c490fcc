"""How well a sentence supports a question: what it matches, what it lacks, what contradicts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, get_args

from kowai.extraction.alignment import Tokens
from kowai.extraction.asked import Asked, Kind
from kowai.extraction.evidence import Evidence, Matches, Sentence, coverage
from kowai.extraction.opposites import opposed
from kowai.extraction.words import STOP_WORDS, rarity, stem

YEAR_DIGITS = 4
KINDS: tuple[Kind, ...] = get_args(Kind)
QUALIFIERS = frozenset(
    stem(word)
    for word in [
        "before",
        "after",
        "first",
        "last",
        "only",
        "most",
        "least",
        "more",
        "less",
        "all",
        "never",
        "outside",
        "inside",
        "without",
        "best",
        "worst",
        "largest",
        "smallest",
        "highest",
        "lowest",
        "oldest",
        "newest",
        "earliest",
        "latest",
        "greatest",
        "fewest",
        "longest",
        "shortest",
        "biggest",
        "main",
        "primary",
        "original",
        "second",
        "third",
        "current",
        "former",
        "new",
        "old",
        "early",
        "late",
        "previous",
        "next",
        "final",
        "initial",
        "except",
        "besides",
        "other",
        "same",
        "different",
        "anti",
        "pre",
        "post",
    ]
)


class Close(NamedTuple):
    """Hold a sentence worth reading: its place in the evidence, its cosine with the question in [-1, 1], its tokens."""

    evidence: Evidence
    at: int
    cosine: float
    tokens: Tokens | None = None

    @property
    def sentence(self) -> Sentence:
        return self.evidence.sentences[self.at]

    @property
    def matches(self) -> Matches:
        return self.evidence.matches[self.at]


def sentence_features(asked: Asked, close: Close, field: Sequence[Close]) -> dict[str, float]:
    """Describe one sentence among the sentences that were read."""
    return {
        **_coverage(asked, close),
        **_missing(asked, close),
        **_order(asked, close),
        **_opposition(asked, close),
        **_candidates(asked, close),
        **_standing(asked, close, field),
        **{f"asks_{kind}": float(asked.kind == kind) for kind in KINDS},
    }


def _coverage(asked: Asked, close: Close) -> dict[str, float]:
    matches, at = close.evidence.matches, close.at
    return {
        "coverage": coverage(asked, matches[at]),
        "coverage_before": coverage(asked, *matches[max(0, at - 1) : at + 1]),
        "coverage_passage": coverage(asked, *matches),
        "terms": len(asked.terms),
        "terms_rarity": sum(asked.terms.values()),
        "question_words": len(asked.words),
    }


def _missing(asked: Asked, close: Close) -> dict[str, float]:
    """Describe what the question mentions and the sentence, or its whole passage, does not."""
    here = close.matches
    anywhere = {term for matches in close.evidence.matches for term in matches} | _titled(close.evidence)
    stems = close.sentence.stems
    numbers_missing = sum(number not in stems for number in asked.numbers)
    return {
        "missing_rarest": max((weight for term, weight in asked.terms.items() if term not in here), default=0.0),
        "missing_rarest_passage": max(
            (weight for term, weight in asked.terms.items() if term not in anywhere), default=0.0
        ),
        "missing": sum(term not in here for term in asked.terms),
        "missing_passage": sum(term not in anywhere for term in asked.terms),
        "names": len(asked.names),
        "names_missing": sum(name not in here for name in asked.names),
        "names_missing_passage": sum(name not in anywhere for name in asked.names),
        "numbers": len(asked.numbers),
        "numbers_missing": numbers_missing,
        "numbers_missing_passage": sum(number not in anywhere for number in asked.numbers),
        "numbers_differ": float(numbers_missing > 0 and any(word.kind == "number" for word in close.sentence.words)),
    }


def _titled(evidence: Evidence) -> set[str]:
    """Return the stems of the titles a passage stands under."""
    title = f"{evidence.passage.title or ''} {evidence.passage.heading_path}".replace("_", " ")[:300]
    return {stem(word.strip(".,:;()").lower()) for word in title.split()}


def _order(asked: Asked, close: Close) -> dict[str, float]:
    """Describe whether the terms stand together and in the question's order."""
    here, places, terms = close.matches, close.sentence.places, list(asked.terms)
    at = [places[here[term].stem][0] for term in terms if term in here]
    pairs = list(pairwise(terms))
    return {
        "neighbours": sum(_nearness(close, one, other) for one, other in pairs) / max(1, len(pairs)),
        "in_order": sum(b > a for a, b in pairwise(at)) / max(1, len(at) - 1),
        "density": len(at) / (max(at) - min(at) + 1) if at else 0.0,
        "focus_here": float(asked.focus in places) if asked.focus else -1.0,
        "first_here": float(terms[0] in here) if terms else -1.0,
        "last_here": float(terms[-1] in here) if terms else -1.0,
    }


def _nearness(close: Close, one: str, other: str) -> float:
    """Return 1 if two neighbours in the question are neighbours in the sentence, less if they are near, else 0."""
    here, places = close.matches, close.sentence.places
    if one not in here or other not in here:
        return 0.0
    gaps = [b - a for a in places[here[one].stem][:5] for b in places[here[other].stem][:5]]
    gap = min(gaps, key=lambda gap: abs(gap - 1))
    return 1.0 if gap == 1 else 0.6 if 0 < gap <= 3 else 0.3 if abs(gap) <= 3 else 0.0


def _opposition(asked: Asked, close: Close) -> dict[str, float]:
    """Describe negations, opposites and qualifiers that one has and the other lacks."""
    stems = close.sentence.stems
    everywhere = frozenset[str]().union(*(sentence.stems for sentence in close.evidence.sentences))
    qualifiers = [word.stem for word in asked.words if word.stem in QUALIFIERS]
    missing = [term for term in asked.terms if term not in close.matches]
    return {
        "negation_differs": float(asked.negated != close.sentence.negated),
        "negated_question": float(asked.negated),
        "negated_sentence": float(close.sentence.negated),
        "opposites": sum(opposed(term, stems) for term in missing),
        "opposites_passage": sum(opposed(term, everywhere) for term in missing),
        "qualifiers": len(qualifiers),
        "qualifiers_missing": sum(word not in stems for word in qualifiers),
    }


def _candidates(asked: Asked, close: Close) -> dict[str, float]:
    """Count what the question does not mention, by its look, and what of it could be an answer of the asked kind."""
    mentioned = {word.stem for word in asked.words}
    new = [word for word in close.sentence.words if word.kind != "mark" and word.stem not in mentioned]
    numbers = sum(word.kind == "number" for word in new)
    names = sum(word.text[0].isupper() and word.start > 0 for word in new)
    years = sum(word.kind == "number" and len(word.text) == YEAR_DIGITS for word in new)
    plain = sum(word.text[0].islower() and word.lower not in STOP_WORDS for word in new)
    of_kind = {"date": numbers, "number": numbers, "person": names, "place": names, "name": names}
    return {
        "new_numbers": numbers,
        "new_names": names,
        "new_years": years,
        "new_words": plain,
        "lacks_kind": float(of_kind.get(asked.kind, 1) == 0),
    }


def _standing(asked: Asked, close: Close, field: Sequence[Close]) -> dict[str, float]:
    """Describe how a sentence stands among the others."""
    own = coverage(asked, close.matches)
    others = [coverage(asked, other.matches) for other in field if other is not close]
    return {
        "cosine": close.cosine,
        "cosine_best": max(other.cosine for other in field),
        "cosine_rank": sum(other.cosine > close.cosine for other in field),
        "coverage_rank": sum(other > own for other in others),
        "coverage_margin": own - max(others, default=0.0),
        "coverage_best": max([own, *others]),
        "words": len(close.sentence.words),
        "index": close.at,
        "sentences": len(close.evidence.sentences),
        "passage_rank": close.evidence.rank,
        "rarity": sum(rarity(root) for root in close.sentence.places) / max(1, len(close.sentence.places)),
    }
