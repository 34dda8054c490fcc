"""Rules: phrases that give a model orders about its own orders, in a dozen languages (rules.txt)."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

KINDS = ("OVERRIDE", "LEAK", "ROLE", "DELIMITER", "ADDRESSED")
DEFINED = re.compile(r"([A-Z]+) = (.*)")


def rule_hits(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of the first phrase of each kind."""
    for kind, pattern in _compiled().items():
        match = pattern.search(text)
        if match:
            yield kind, match.start(), match.end()


@cache
def _compiled() -> dict[str, re.Pattern[str]]:
    lines = (Path(__file__).parent / "rules.txt").read_text(encoding="utf-8").splitlines()
    names: dict[str, str] = {}
    patterns: dict[str, list[str]] = {}
    kind = ""
    for line in lines:
        if not line or line.startswith("# "):
            continue
        if defined := DEFINED.fullmatch(line):
            names[defined[1]] = defined[2]
        elif line[1:-1] in KINDS:
            kind = line[1:-1]
        else:
            patterns.setdefault(kind, []).append(_expanded(line, names))
    return {kind: re.compile("|".join(f"(?:{each})" for each in patterns[kind]), re.IGNORECASE) for kind in KINDS}


def _expanded(pattern: str, names: dict[str, str]) -> str:
    for name, meaning in names.items():
        pattern = pattern.replace(f"{{{name}}}", meaning)
    return pattern
