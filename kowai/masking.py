"""Masking: personal data leaves as <EMAIL_1> and comes back as it was; each value has one mask."""

import re

from kowai.personal.checks import digits_of
from kowai.personal.detection import Found, detect

MASK = re.compile(r"<[A-Z_]{2,20}_\d{1,5}>")
BEGUN = re.compile(r"<[A-Z_]{0,20}\d{0,5}\Z")  # what the next piece of a reply may turn into a mask
NUMBERS = frozenset({"PHONE", "CARD"})


class Masking:
    """Remember which mask stands for which value; masks that the text itself holds are never given out."""

    def __init__(self, taken: str = "") -> None:
        self._taken = set(MASK.findall(taken))
        self._masks: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def mask(self, text: str) -> str:
        """Return the text with a mask in place of each piece of personal data."""
        pieces: list[str] = []
        end = 0
        for found in detect(text):
            pieces += [text[end : found.start], self._mask_of(found, text[found.start : found.end])]
            end = found.end
        return "".join([*pieces, text[end:]])

    def restore(self, text: str) -> str:
        """Return the text with the values its masks stand for; an unknown mask stays."""
        return MASK.sub(lambda match: self._values.get(match[0], match[0]), text) if self._values else text

    def _mask_of(self, found: Found, written: str) -> str:
        key = (found.kind, _same(found.kind, written))
        if key not in self._masks:
            mask = self._next(found.kind)
            self._masks[key], self._values[mask] = mask, written
        return self._masks[key]

    def _next(self, kind: str) -> str:
        while True:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            if f"<{kind}_{number}>" not in self._taken:
                return f"<{kind}_{number}>"


class Restoring:
    """Restore a reply that comes in pieces: what may become a mask is held back until it is one or is not."""

    def __init__(self, masking: Masking) -> None:
        self._masking, self._held = masking, ""

    def hear(self, piece: str) -> str:
        """Return what can be said now."""
        text = self._held + piece
        begun = BEGUN.search(text)
        self._held = begun[0] if begun else ""
        return self._masking.restore(text[: len(text) - len(self._held)])

    def rest(self) -> str:
        """Return what was held back when nothing more comes."""
        held, self._held = self._held, ""
        return held


def _same(kind: str, written: str) -> str:
    """Return what two ways of writing one value have in common."""
    return digits_of(written) if kind in NUMBERS else "".join(written.split()).casefold()
