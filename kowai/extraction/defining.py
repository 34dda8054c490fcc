"""Definitions: whether a question asks what something is, and whether a sentence or a text says so."""

import re
from itertools import pairwise

from kowai.extraction.asked import Asked
from kowai.extraction.evidence import quotables
from kowai.extraction.words import words_of

ASKING = re.compile(
    r"^\W*(?:(?:what|who)(?:['’]s| is| are| was| were)|define|describe|explain|(?:please )?tell me about"
    r"|what do(?:es)?(?=.* (?:mean|do)\W*$))\b",
    re.IGNORECASE,
)
SAYING = frozenset("is are was were mean means".split())
ARTICLES = frozenset("a an the".split())
DEFINITION = re.compile(r"\b(?:is|are|was|were|means?) (?:a|an|the)\b", re.IGNORECASE)
LONGEST = 3  # terms: who says more asks for more than what something is


def asks_what_it_is(asked: Asked) -> bool:
    """Tell whether a question names a thing, in at most three words, and asks for nothing else."""
    return 0 < len(_named(asked)) <= LONGEST and bool(ASKING.match(asked.text))


def says_what_it_is(asked: Asked, said: str) -> bool:
    """Tell whether a sentence begins with all that the question names, nothing else, and goes on with "is a"."""
    named, subject = _named(asked), set[str]()
    for word, following in pairwise(words_of(said)):
        if word.lower in SAYING:
            return subject == named and following.lower in ARTICLES
        if word.stem in named:
            subject.add(word.stem)
        elif word.kind != "mark" and word.lower not in ARTICLES:
            return False
    return False


def defines(asked: Asked, text: str) -> bool:
    """Tell whether one of a text's sentences says what the question asks for."""
    if not DEFINITION.search(text):
        return False
    return any(says_what_it_is(asked, text[each.quote.start : each.quote.end]) for each in quotables(text))


def _named(asked: Asked) -> set[str]:
    return asked.terms.keys() - {"mean"}
