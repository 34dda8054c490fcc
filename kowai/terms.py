"""Cut text into the words that the lexical index knows; PostgreSQL's stemmer turns words into terms."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from pathlib import PurePosixPath

LONGEST = 64

_WORD = re.compile(r"[^\W_]+")
_ASCII_WORDS = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))
_NAME_PART = re.compile(r"[^\W\d_]+|\d+")
_SPOKEN = re.compile(r"(?![0-9a-fA-F-]*$).*[^\W\d_]{3}", re.DOTALL)  # an identifier in hexadecimal says nothing
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ACCENT = re.compile("[\u0300-\u036f]")
# Scripts that put no spaces between words, and Hangul, whose words carry their particles.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")


def words(text: str) -> list[str]:
    """Return the words of a text without case and accents.

    A compound of cases or digits also yields its parts (`parseJSON2`: parsejson2, parse, json, 2), and scripts
    without spaces yield overlapping pairs of characters.
    """
    folded, pairs = (text, []) if text.isascii() else _folded(text)
    forms = [*map(_forms, _cut(folded))]
    return [word for word, *_ in forms] + [part for _, *parts in forms for part in parts] + pairs


def plain_words(text: str) -> list[str]:
    """Return the words of a text in order, without their parts and without unspaced scripts."""
    folded = text if text.isascii() else _folded(text)[0]
    return _cut(folded.casefold())


def known_as(title: str | None, name: str) -> str:
    """Return what people call a document: its title or, where it has none, the words of its file's name."""
    if title:
        return title
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return " ".join(_NAME_PART.findall(stem)) if _SPOKEN.match(stem) else ""


def counted(*fields: tuple[str, int]) -> Counter[str]:
    """Count the words of several texts, each occurrence as often as its text weighs."""
    counts: Counter[str] = Counter()
    for text, weight in fields:
        folded, pairs = (text, []) if text.isascii() else _folded(text)
        for word, times in Counter(_cut(folded)).items():
            for form in _forms(word):
                counts[form] += times * weight
        for pair in pairs:
            counts[pair] += weight
    return counts


def _cut(text: str) -> list[str]:
    """Return runs of letters and digits; of ASCII, four times as fast as a pattern finds them."""
    return text.translate(_ASCII_WORDS).split() if text.isascii() else _WORD.findall(text)


@lru_cache(1 << 15)
def _forms(word: str) -> tuple[str, ...]:
    """Return a word as it is indexed, and behind it its parts if it is a compound."""
    return word.casefold()[:LONGEST], *([] if _is_plain(word) else _parts(word))


def _is_plain(word: str) -> bool:
    return word.isdigit() or (word.isalpha() and (word.islower() or word.istitle()))


def _parts(compound: str) -> list[str]:
    parts = _PART.findall(compound)
    return [part.lower()[:LONGEST] for part in parts] if len(parts) > 1 else []


def _folded(text: str) -> tuple[str, list[str]]:
    """Return the text without accents and unspaced scripts, and the latter's pairs."""
    plain = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    pairs = [pair for run in _UNSPACED.findall(plain) for pair in _pairs(run)]
    return _UNSPACED.sub(" ", plain), pairs


def _pairs(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(max(1, len(run) - 1))]
