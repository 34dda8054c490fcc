"""Rules: phrases that give a model orders about its own orders, in a dozen languages (rules.txt)."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kowai.screening import screen_of, widened

KINDS = ("OVERRIDE", "LEAK", "ROLE", "DELIMITER", "ADDRESSED")
DEFINED = re.compile(r"([A-Z]+) = (.*)")


class Rule(NamedTuple):
    """Find one kind of order; where the linear-time `screen` finds nothing, the exact `pattern` would not either."""

    screen: Any
    pattern: re.Pattern[str]


def rule_hits(text: str, among: Mapping[str, Rule] | None = None) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of the first phrase of each kind; `among` are the rules that may hit, if known."""
    for kind, rule in (rules_for(text) if among is None else among).items():
        if match := rule.pattern.search(text):
            yield kind, match.start(), match.end()


def rules_for(text: str) -> dict[str, Rule]:
    """Return the rules that may hit in this text or in a part of it."""
    return {kind: rule for kind, rule in rules().items() if rule.screen.search(text)}


@cache
def rules() -> dict[str, Rule]:
    """Return the rule of each kind."""
    lines = (Path(__file__).parent / "rules.txt").read_text(encoding="utf-8").splitlines()
    names: dict[str, str] = {}
    patterns: dict[str, list[str]] = {kind: [] for kind in KINDS}
    kind = ""
    for line in lines:
        if not line or line.startswith("# "):
            continue
        if line[1:-1] in KINDS:
            kind = line[1:-1]
        elif not (defined := DEFINED.fullmatch(line)):
            patterns[kind].append(f"(?:{_expanded(line, names)})")
        else:
            names[defined[1]] = defined[2]
    return {kind: _rule("|".join(found)) for kind, found in patterns.items()}


def _rule(pattern: str) -> Rule:
    screen = widened(pattern.replace(r"(?:^|\n)", ""))  # a part of a text begins where the text does not
    return Rule(screen_of(screen, ignore_case=True), re.compile(pattern, re.IGNORECASE))


def _expanded(pattern: str, names: dict[str, str]) -> str:
    for name, meaning in names.items():
        pattern = pattern.replace(f"{{{name}}}", meaning)
    return pattern
