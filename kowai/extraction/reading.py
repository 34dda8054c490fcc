"""Reading: choose the few sentences worth embedding, and put them in order."""

from collections.abc import Sequence

from kowai.extraction.asked import Asked
from kowai.extraction.defining import asks_what_it_is, says_what_it_is
from kowai.extraction.evidence import Evidence, coverage
from kowai.extraction.sentence_features import Close

EMBEDDED = 5
DEFINED = 0.5  # what a sentence is closer by that says what something is, to who asks just that

Place = tuple[Evidence, int]


def shortlist(asked: Asked, evidence: Sequence[Evidence]) -> list[Place]:
    """Return the sentences that share most with the question, best first."""
    scored: list[tuple[float, int, Place]] = []
    defining = asks_what_it_is(asked)
    for passage in evidence:
        whole = 0.3 * coverage(asked, *passage.matches) - 0.02 * passage.rank
        for index, matches in enumerate(passage.matches):
            before = coverage(asked, *passage.matches[max(0, index - 1) : index + 1])
            defined = DEFINED * (defining and says_what_it_is(asked, passage.sentences[index].said))
            scored.append((coverage(asked, matches) + 0.5 * before + whole + defined, -len(scored), (passage, index)))
    return [place for _, _, place in sorted(scored, key=lambda item: item[:2], reverse=True)[:EMBEDDED]]


def closest(asked: Asked, field: Sequence[Close]) -> tuple[Close, ...]:
    """Return the shortlisted sentences in the order of words and meaning together."""
    return tuple(sorted(field, key=lambda close: -_closeness(asked, close)))


def _closeness(asked: Asked, close: Close) -> float:
    matches = close.evidence.matches
    before = coverage(asked, *matches[max(0, close.at - 1) : close.at + 1])
    defined = DEFINED * (asks_what_it_is(asked) and says_what_it_is(asked, close.sentence.said))
    return 0.5 * coverage(asked, close.matches) + 0.3 * before + close.cosine + defined
