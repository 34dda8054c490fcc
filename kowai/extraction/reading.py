"""Reading: choose the few sentences worth embedding, and put them in order."""

from collections.abc import Sequence

from kowai.extraction.asked import Asked
from kowai.extraction.defining import asks_what_it_is, says_what_it_is
from kowai.extraction.evidence import Evidence, coverage
from kowai.extraction.kinds import holds_kind
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


def nearest(asked: Asked, field: Sequence[Close]) -> Close:
    """Return the sentence that is nearest by words and meaning alone."""
    return max(field, key=lambda close: 0.5 * coverage(asked, close.matches) + _rest(asked, close, 0.3))


def closest(told: Asked, field: Sequence[Close]) -> tuple[Close, ...]:
    """Return the shortlisted sentences, first those that most likely hold the answer.

    `told` is the question with its terms weighed as the passages tell. What the rest weighs beside the cosine is what
    a regression over SQuAD 2.0 made of it.
    """

    def holding(close: Close) -> float:
        return 0.6 * coverage(told, close.matches) + 0.3 * holds_kind(told, close.sentence) + _rest(told, close, 0.8)

    return tuple(sorted(field, key=lambda close: -holding(close)))


def _rest(asked: Asked, close: Close, before: float) -> float:
    """Add the cosine to what a sentence and the one before it hold together, and to whether it says what a thing is."""
    together = coverage(asked, *close.evidence.matches[max(0, close.at - 1) : close.at + 1])
    defined = asks_what_it_is(asked) and says_what_it_is(asked, close.sentence.said)
    return before * together + close.cosine + DEFINED * defined
