"""Short answers a sentence could hold: dates, numbers, names, noun phrases and clauses."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from kowai.extraction.words import STOP_WORDS, Word, rarity

Shape = Literal["date", "number", "name", "phrase", "clause"]

MOST = 80
MONTHS = frozenset(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "spring", "summer", "autumn", "winter"]
)
ERAS = frozenset(["bc", "bce", "ad", "ce", "century", "centuries", "decade", "decades", "s"])
NUMERALS = frozenset(
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "trillion", "dozen", "half", "third", "quarter", "several", "hundreds", "thousands", "millions", "twice", "once"]
)
CURRENCIES = frozenset(["$", "€", "£", "¥", "us"])
ABOUT = frozenset(["about", "nearly", "approximately", "around", "almost", "over", "roughly", "least", "most", "than", "up", "some"])
JOINS = frozenset(["of", "and", "for", "in", "to", "the", "a", "an", "on", "or", "at", "with", "von", "van", "de", "la"])
CLAUSE_STARTS = frozenset(["because", "to", "by", "for", "as", "through", "due", "since", "so", "that", "if", "when", "while", "without", "with", "using", "in", "from"])
ENDS = frozenset(".;:!?()[]\"“”—|")


class Candidate(NamedTuple):
    """Hold words [first, last] of a sentence as a possible short answer."""

    first: int
    last: int
    shape: Shape


def candidates_of(words: Sequence[Word]) -> list[Candidate]:
    """Return at most 80 possible short answers in a sentence's words, without repeats."""
    found: dict[tuple[int, int], Candidate] = {}
    for candidate in (*_figures(words), *_names(words), *_phrases(words), *_clauses(words)):
        found.setdefault((candidate.first, candidate.last), candidate)
    return list(found.values())[:MOST]


def is_date(word: Word) -> bool:
    return word.lower in MONTHS or (word.kind == "number" and len(word.lower) == 4 and "1000" <= word.lower <= "2100")


def is_number(word: Word) -> bool:
    return word.kind == "number" or word.lower in NUMERALS


def _figures(words: Sequence[Word]) -> Iterator[Candidate]:
    """Yield dates and numbers: alone, and with their currency, unit or century."""
    at = 0
    while at < len(words):
        if not (is_number(words[at]) or (words[at].lower in MONTHS and words[at].text[0].isupper())):
            at += 1
            continue
        first = last = at
        while last + 1 < len(words) and _continues(words, last):
            last += 1
        run = words[first : last + 1]
        shape: Shape = "date" if any(is_date(w) or w.lower in ERAS for w in run) else "number"
        at = last + 1
        if first and words[first - 1].text in CURRENCIES | {"-", "−"}:
            first -= 1
        yield Candidate(first, last, shape)
        if first and words[first - 1].lower in ABOUT:
            yield Candidate(first - 1, last, shape)
        for wider in (1, 2):
            unit = last + wider
            if unit < len(words) and words[unit].kind == "word" and words[unit].lower not in STOP_WORDS:
                yield Candidate(first, unit, shape)
            else:
                break


def _continues(words: Sequence[Word], last: int) -> bool:
    """Say whether a date or number goes on after the word at `last`."""
    word, after = words[last], words[last + 1]
    if is_number(after) or (after.lower in MONTHS and after.text[0].isupper()) or after.lower in ERAS or after.text == "%" or after.lower == "percent":
        return True
    if after.text in "-–/," and last + 2 < len(words) and is_number(words[last + 2]):
        return after.text != "," or (word.kind == "number" and (words[last + 2].kind == "number" and len(words[last + 2].lower) == 4))
    return after.lower in ("st", "nd", "rd", "th") and word.end == after.start


def _names(words: Sequence[Word]) -> Iterator[Candidate]:
    """Yield runs of capitalised words, joined by small words such as 'of'."""
    at = 0
    while at < len(words):
        if not _capital(words, at):
            at += 1
            continue
        first = last = at
        while last + 1 < len(words):
            if _capital(words, last + 1) or (words[last + 1].kind == "number" and False):
                last += 1
            elif words[last + 1].text in ("'", "’", "-", ".", "&") and last + 2 < len(words) and words[last + 2].start == words[last + 1].end and words[last+2].kind=="word":
                last += 2
            else:
                break
        yield Candidate(first, last, "name")
        joined = last
        while joined + 2 < len(words) and words[joined + 1].lower in JOINS:
            step = joined + 2
            if words[step].lower == "the" and step + 1 < len(words):
                step += 1
            if not _capital(words, step):
                break
            while step + 1 < len(words) and _capital(words, step + 1):
                step += 1
            joined = step
            yield Candidate(first, joined, "name")
        at = last + 1


def _capital(words: Sequence[Word], at: int) -> bool:
    word = words[at]
    return word.kind == "word" and word.text[0].isupper() and ((at > 0 and word.lower not in STOP_WORDS) or rarity(word.stem) > 0.75)


def _phrases(words: Sequence[Word]) -> Iterator[Candidate]:
    """Yield runs of content words, their endings, and two runs joined by a small word."""
    runs = list(_runs(words))
    for number, (first, last) in enumerate(runs):
        yield Candidate(first, last, "phrase")
        for start in range(first + 1, last + 1):
            yield Candidate(start, last, "phrase")
        if last > first:
            yield Candidate(first, last - 1, "phrase")
        if number + 1 < len(runs):
            after_first, after_last = runs[number + 1]
            between = words[last + 1 : after_first]
            if 1 <= len(between) <= 2 and all(word.lower in JOINS or word.text in "-'’," for word in between):
                yield Candidate(first, after_last, "phrase")
                if last > first:
                    yield Candidate(last, after_last, "phrase")


def _runs(words: Sequence[Word]) -> Iterator[tuple[int, int]]:
    first = None
    for at, word in enumerate(words):
        inner = word.kind != "mark" and word.lower not in STOP_WORDS
        if word.kind == "mark" and word.text in "-%$£€'’" and first is not None and at + 1 < len(words):
            inner = word.end == words[at + 1].start and word.start == words[at - 1].end and words[at+1].lower!='s'
        if inner and first is None:
            first = at
        if not inner and first is not None:
            yield first, at - 1
            first = None
    if first is not None:
        yield first, len(words) - 1


def _clauses(words: Sequence[Word]) -> Iterator[Candidate]:
    """Yield what follows 'because', 'to', 'by' ... up to the next comma and to the end of the sentence."""
    for at, word in enumerate(words):
        if word.lower not in CLAUSE_STARTS or at + 2 >= len(words):
            continue
        last = at
        while last + 1 < len(words) and words[last + 1].text not in ENDS and last - at < 25:
            last += 1
            if last + 1 < len(words) and words[last + 1].text == "," and last - at > 1:
                yield Candidate(at, last, "clause")
                yield Candidate(at + 1, last, "clause")
        if last - at > 1:
            yield Candidate(at, last, "clause")
            yield Candidate(at + 1, last, "clause")
