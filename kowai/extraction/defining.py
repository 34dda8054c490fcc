"""Definitions: whether a question asks what something is, and whether a sentence or a text says so."""

import re
from itertools import pairwise

from kowai.extraction.asked import Asked
from kowai.extraction.evidence import quotables
from kowai.extraction.words import stem, words_of

ASKING = re.compile(
    r"^\W*(?:(?:what|who)(?:['’]s| is| are| was| were)|define|describe|explain|(?:please )?tell me about"
    r"|what do(?:es)?(?=.* (?:mean|do)\W*$))\b",
    re.IGNORECASE,
)
BEING, MEANING = frozenset("is are was were".split()), frozenset("mean means".split())
ASKED_FOR = {stem("mean"), stem("define")}
DOING = re.compile(r"\bdo\W*$", re.IGNORECASE)
ARTICLES = frozenset("a an the".split())
DEFINITION = re.compile(r"\b(?:(?:is|are|was|were) (?:a|an|the)|means?)\b", re.IGNORECASE)
LONGEST = 3  # terms: who says more asks for more than what something is


def asks_what_it_is(asked: Asked) -> bool:
    """Tell whether a question names a thing, in at most three words, and asks for nothing else."""
    return 0 < len(_named(asked)) <= LONGEST and bool(ASKING.match(asked.text))


def says_what_it_is(asked: Asked, said: str) -> bool:
    """Tell whether a sentence begins with just what the question names, and goes on with "is a" or "means".

    Who asks what it does is told by any verb in the third person.
    """
    named, subject = _named(asked), set[str]()
    for word, following in pairwise(words_of(said)):
        if word.lower in BEING or word.lower in MEANING:
            return subject == named and (word.lower in MEANING or following.lower in ARTICLES)
        if word.stem in named:
            subject.add(word.stem)
        elif word.kind != "mark" and word.lower not in ARTICLES:
            return subject == named and word.lower.endswith("s") and bool(DOING.search(asked.text))
    return False


def defines(asked: Asked, text: str) -> bool:
    """Tell whether one of a text's sentences says what the question asks for."""
    if not DEFINITION.search(text):
        return False
    return any(says_what_it_is(asked, text[each.quote.start : each.quote.end]) for each in quotables(text))


def _named(asked: Asked) -> set[str]:
    return asked.terms.keys() - ASKED_FOR
