"""Rules: phrases that give a model orders about its own orders, in a dozen languages (rules.txt)."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

KINDS = ("OVERRIDE", "LEAK", "ROLE", "DELIMITER", "ADDRESSED")
DEFINED = re.compile(r"([A-Z]+) = (.*)")


class Rule(NamedTuple):
    """Find one kind of order where one of the triggers stands."""

    triggers: tuple[str, ...]
    pattern: re.Pattern[str]


def rule_hits(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of the first phrase of each kind."""
    lower = text.lower()
    for kind, rule in rules().items():
        if any(trigger in lower for trigger in rule.triggers) and (match := rule.pattern.search(text)):
            yield kind, match.start(), match.end()


@cache
def rules() -> dict[str, Rule]:
    """Return the rule of each kind."""
    lines = (Path(__file__).parent / "rules.txt").read_text(encoding="utf-8").splitlines()
    names: dict[str, str] = {}
    triggers: dict[str, str] = {}
    patterns: dict[str, list[str]] = {kind: [] for kind in KINDS}
    kind = ""
    for line in lines:
        if not line or line.startswith("# "):
            continue
        if line[1:-1] in KINDS:
            kind = line[1:-1]
        elif not (defined := DEFINED.fullmatch(line)):
            patterns[kind].append(f"(?:{_expanded(line, names)})")
        elif defined[1] == "TRIGGERS":
            triggers[kind] = defined[2]
        else:
            names[defined[1]] = defined[2]
    return {
        kind: Rule(tuple(triggers[kind].split("|")), re.compile("|".join(patterns[kind]), re.IGNORECASE))
        for kind in KINDS
    }


def _expanded(pattern: str, names: dict[str, str]) -> str:
    for name, meaning in names.items():
        pattern = pattern.replace(f"{{{name}}}", meaning)
    return pattern
