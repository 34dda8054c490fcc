"""Kinds of answers: whether a sentence holds something of the kind that is asked for and that the question lacks."""

import re
from collections.abc import Callable, Mapping

from kowai.extraction.asked import Asked, Kind
from kowai.extraction.evidence import Sentence
from kowai.extraction.words import Word

COUNTS = frozenset(
    (
        "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
        "million billion dozen once twice half third quarter percent several daily weekly monthly yearly"
    ).split()
)
TIMES = frozenset(
    (
        "january february march april may june july august september october november december monday tuesday "
        "wednesday thursday friday saturday sunday spring summer autumn winter century decade today yesterday daily "
        "weekly nightly"
    ).split()
)
CAUSES = frozenset("because since due so thus therefore owing reason cause caused causes result led avoid".split())
MARKER = re.compile(r"\s*\(?\d{1,3}[.)]\s")


def _is_name(word: Word) -> bool:
    return word.text[0].isupper() and word.start > 0


LOOKS: Mapping[Kind, Callable[[Word], bool]] = {
    "number": lambda word: word.kind == "number" or word.lower in COUNTS,
    "date": lambda word: word.kind == "number" or word.lower in TIMES,
    "person": _is_name,
    "place": _is_name,
    "name": _is_name,
    "reason": lambda word: word.lower in CAUSES,
}


def holds_kind(asked: Asked, sentence: Sentence) -> bool:
    """Tell whether a word that the question does not mention looks like what it asks for; so may any other kind."""
    looks = LOOKS.get(asked.kind)
    if looks is None:
        return True
    mentioned = {word.stem for word in asked.words}
    marker = MARKER.match(sentence.text)
    begin = marker.end() if marker else 0
    return any(looks(word) for word in sentence.words if word.start >= begin and word.stem not in mentioned)
