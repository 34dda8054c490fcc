"""Toxicity: insults, threats and harassment by word lists, which know no irony and no quotation."""

import re
from functools import cache
from pathlib import Path

from kowai.guards import Content, Guard, Sight
from kowai.injection.normalising import plain

WORDS = Path(__file__).parent / "toxic_words.txt"


def look(content: Content) -> list[Sight]:
    text = plain(content.text)
    return [
        Sight(kind, match.start(), match.end(), 0.7)
        for kind, pattern in _patterns().items()
        for match in pattern.finditer(text)
    ]


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return one pattern a section of the list; each line is a regular expression of whole words."""
    sections: dict[str, list[str]] = {}
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            sections[line[1:-1]] = []
        elif line and line[0] != "#":
            sections[[*sections][-1]].append(line)
    return {kind: re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) for kind, words in sections.items()}


TOXICITY = Guard(
    summary="Insults, threats and harassment, by word lists in six languages.",
    defaults={"input": "note", "document": "off", "output": "note"},
    look=look,
    sentence="This text insults or threatens somebody: put it another way.",
)
