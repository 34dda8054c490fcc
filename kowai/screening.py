"""Screening: RE2 tells in linear time where a pattern finds nothing, so that the exact one need not look.

`re` tries every place of a text for every pattern, and most texts hold nothing for most of them.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import re2

LOOK = re.compile(r"\(\?<?[=!][^()]*\)")
CLASS_OR_ESCAPE = re.compile(r"\[\^?(?:\\.|[^\]\\])*\]|\\.")
COUNTED = re.compile(r"(?<!\))\{(\d+),\d*\}")  # those of groups stay: they are small, and tell much
LEAST = {"0": "*", "1": "+"}
WIDER = {r"\b": "", r"\w": r"\S", r"\d": r"\p{Nd}", r"\s": r"[\s\pZ\x0b\x1c-\x1f\x85]", r"[\s\S]": "(?s:.)"}


def widened(pattern: str) -> str:
    r"""Return a pattern for RE2 that finds something wherever this one does; looks hold no groups.

    RE2 looks neither ahead nor behind, and knows \b, \d, \s and \w in ASCII only; without upper bounds of repetitions
    of characters its automaton is small.
    """
    wide = CLASS_OR_ESCAPE.sub(lambda found: _wider(found[0]), LOOK.sub("", pattern))
    return COUNTED.sub(lambda found: LEAST.get(found[1], f"{{{found[1]},}}"), wide)


def _wider(piece: str) -> str:
    if piece in WIDER:
        return WIDER[piece]
    if piece.startswith("[^"):  # takes away what is narrower in ASCII, except for what is said in the negative
        return r"\S" if r"\W" in piece else piece
    return piece.replace(r"\w", r"\S").replace(r"\d", r"\p{Nd}") if piece.startswith("[") else piece


def screen_of(pattern: str, *, ignore_case: bool = False) -> Any:
    """Compile what RE2 understands."""
    options = re2.Options()
    options.case_sensitive, options.log_errors = not ignore_case, False
    return re2.compile(pattern, options)


class Screened:
    """Find what a pattern finds; its `screen`, where it is not the pattern widened, finds at least as much."""

    def __init__(self, pattern: str, flags: int = 0, screen: str | None = None) -> None:
        self.pattern = re.compile(pattern, flags)
        self._wide = screen

    @cached_property
    def _screen(self) -> Any:
        return screen_of(self.wide)

    @property
    def wide(self) -> str:
        """Return what RE2 looks for."""
        wide = widened(self.pattern.pattern) if self._wide is None else self._wide
        return f"(?i:{wide})" if self.pattern.flags & re.IGNORECASE else wide

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Return the matches of the pattern."""
        if self._screen.search(text.encode("utf-8", "replace")):
            return self.pattern.finditer(text)
        return iter(())
