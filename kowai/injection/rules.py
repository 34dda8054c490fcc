"""Rules: phrases that give a model orders about its own orders, in a dozen languages (rules.txt)."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import re2

KINDS = ("OVERRIDE", "LEAK", "ROLE", "DELIMITER", "ADDRESSED")
WIDER = {r"(?:^|\n)": "", r"\b": "", r"\w": r"[\pL\pM\pN_]", r"[^)\s]": "[^)]", r"\s": r"[\s\pZ\x0b\x1c-\x1f\x85]"}
COUNTED = re.compile(r"\{[01],\d+\}")
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
    return {kind: Rule(_screen("|".join(found)), re.compile("|".join(found), re.I)) for kind, found in patterns.items()}


def _screen(pattern: str) -> Any:
    r"""Return what finds all that the pattern finds, and more.

    RE2 knows boundaries and \w in ASCII only; without bounds for repetitions its automaton is small.
    """
    options = re2.Options()
    options.case_sensitive, options.log_errors = False, False
    for narrow, wide in WIDER.items():
        pattern = pattern.replace(narrow, wide)
    return re2.compile(COUNTED.sub("*", pattern), options)


def _expanded(pattern: str, names: dict[str, str]) -> str:
    for name, meaning in names.items():
        pattern = pattern.replace(f"{{{name}}}", meaning)
    return pattern
