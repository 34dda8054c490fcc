"""Words: where they stand in a text, their stems and how rare they are in English."""

import re
from functools import cache, lru_cache
from importlib.resources import files
from math import log
from typing import NamedTuple

_WIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_NUMBER = r"\d+(?:[.,:]\d+)*"
_WORD = rf"[^\W\d_{_WIDE}](?:[^\W\d_{_WIDE}]|\.(?=[A-Z]\.))*"
PIECE = re.compile(rf"(?P<number>{_NUMBER})|(?P<wide>[{_WIDE}])|(?P<word>{_WORD})|(?P<mark>[^\w\s])")
TERM = re.compile(rf"{_NUMBER}|[{_WIDE}]|{_WORD}")
STOP_WORDS = frozenset(
    (
        "a about above after again all also although am an and another any are as at be because been before being "
        "below between both but by can could did do does doing down during each either few for from further had has "
        "have having he her here hers him his how however i if in into is it its itself just let like many may me "
        "might more most much must my neither nor of off often on once only onto or other our out over own per quite "
        "rather s same shall she should since so some such t than that the their them then there these they this those "
        "through thus to too toward towards under until up upon us very via was we were what whatever when where "
        "whereas whether which while who whom whose why will with within without would yet you your please tell "
        "explain describe list give show summarise summarize"
    ).split()
)
IRREGULAR = {
    form: verb
    for line in [
        "be am is are was were been",
        "begin began begun",
        "break broke broken",
        "bring brought",
        "build built",
        "buy bought",
        "catch caught",
        "choose chose chosen",
        "come came",
        "cut cut",
        "die dying",
        "draw drew drawn",
        "drive drove driven",
        "eat ate eaten",
        "fall fell fallen",
        "feel felt",
        "fight fought",
        "find found",
        "flee fled",
        "fly flew flown",
        "forbid forbade forbidden",
        "get got gotten",
        "give gave given",
        "go went gone",
        "grow grew grown",
        "have has had",
        "hear heard",
        "hold held",
        "keep kept",
        "know knew known",
        "lay laid",
        "lead led",
        "leave left",
        "lend lent",
        "lie lay lain",
        "lose lost",
        "make made",
        "mean meant",
        "meet met",
        "pay paid",
        "rise rose risen",
        "run ran",
        "say said",
        "see saw seen",
        "seek sought",
        "sell sold",
        "send sent",
        "set set",
        "shoot shot",
        "show shown",
        "sing sang sung",
        "sink sank sunk",
        "sit sat",
        "speak spoke spoken",
        "spend spent",
        "stand stood",
        "steal stole stolen",
        "strike struck",
        "swim swam swum",
        "take took taken",
        "teach taught",
        "tell told",
        "think thought",
        "throw threw thrown",
        "understand understood",
        "use uses used using user users",
        "wear wore worn",
        "win won",
        "write wrote written",
        "child children",
        "man men",
        "woman women",
        "foot feet",
        "person people",
        "life lives",
        "half halves",
    ]
    for verb, *forms in (line.split(),)
    for form in (verb, *forms)
}
SUFFIXES = (
    "ational",
    "ization",
    "isation",
    "ations",
    "ation",
    "ingly",
    "ements",
    "ement",
    "ment",
    "ions",
    "ion",
    "ings",
    "ing",
    "edly",
    "ers",
    "ors",
    "ies",
    "ied",
    "est",
    "ed",
    "er",
    "or",
    "ly",
    "es",
    "s",
    "y",
    "e",
)


class Word(NamedTuple):
    """Hold a word or mark: its characters [start, end), its lower-case form and its stem."""

    text: str
    start: int
    end: int
    kind: str
    lower: str
    stem: str


def words_of(text: str) -> list[Word]:
    """Return the words, numbers, wide characters and marks of a text with their places."""
    found: list[Word] = []
    for match in PIECE.finditer(text):
        lower = match[0].lower()
        found.append(Word(match[0], match.start(), match.end(), match.lastgroup or "mark", lower, stem(lower)))
    return found


def stems_of(text: str) -> frozenset[str]:
    """Return the stems of a text's words and numbers: what `words_of` finds, several times faster."""
    return frozenset([stem(word.lower()) for word in TERM.findall(text)])


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Cut a lower-case word's endings: invaded, invading and invades meet; so do most nouns and their verbs."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            root = word[: -len(suffix)]
            if root[-1] == root[-2] and root[-1] not in "slz":
                root = root[:-1]
            return root.rstrip("e") if root[-1] != "i" else root[:-1]
    return word


@cache
def common_stems() -> dict[str, float]:
    """Return the rarity of the stems of the 6,000 most frequent English words, the most frequent first."""
    words = files("kowai.extraction").joinpath("common_words.txt").read_text().split()
    return {stem(word): log(rank) / log(12_000) for rank, word in reversed(list(enumerate(words, 1)))}


def rarity(root: str) -> float:
    """Return how rare a stem is, in [0, 1]: that of 'the' is 0, one outside the most frequent words is 1."""
    return common_stems().get(root, 1.0)
