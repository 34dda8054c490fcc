"""Subtitles and transcripts (WebVTT, SubRip): what is said, by whom; the time of each cue is its heading."""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

from kowai.decoding import decode
from kowai.loaders import Limits, Loader
from kowai.types import Heading, LoadedDocument

MEDIA_TYPES = frozenset(("text/vtt", "application/x-subrip"))
_TIMES = re.compile(
    r"^[ \t]*((?:\d{1,3}:)?\d{1,2}:\d{2})[.,]\d{1,3}[ \t]+-->[ \t]+(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}"
)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]+)>")
_MARK = re.compile(r"</?[a-zA-Z0-9][^<>]{0,200}>|\{\\[^{}]{0,200}\}")


class Cue(NamedTuple):
    start: str
    speaker: str | None
    text: str


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    parts: list[str] = []
    headings: list[Heading] = []
    position, speaker = 0, None
    for cue in _cues(decode(data, name, charset)):
        headings.append(Heading(1, cue.start, position))
        text = f"{cue.speaker}: {cue.text}" if cue.speaker and cue.speaker != speaker else cue.text
        speaker = cue.speaker
        parts.append(text)
        position += len(text) + 1
    return LoadedDocument(
        text="\n".join(parts), media_type="text/vtt", content_type="conversation", headings=tuple(headings)
    )


def _cues(text: str) -> Iterator[Cue]:
    """Yield each cue that says something, without numbers, styles and notes; rolling captions repeat no line."""
    start: str | None = None
    last, lines = "", list[str]()
    for line in [*text.split("\n"), ""]:
        if times := _TIMES.match(line):
            start, lines = _padded(times[1]), []
        elif line.strip() and start is not None:
            lines.append(line.strip())
        elif start is not None and lines:
            fresh = [line for line in lines if _plain(line) != last]
            said = "\n".join(plain for line in fresh if (plain := _plain(line)))
            speaker = next((match[1].strip() for line in lines if (match := _VOICE.search(line))), None)
            if said:
                yield Cue(start, speaker, said)
                last = _plain(lines[-1])
            start = None


def _padded(time: str) -> str:
    """Return hours, minutes and seconds."""
    pieces = time.split(":")
    return ":".join(piece.zfill(2) for piece in ["00", *pieces][-3:])


def _plain(line: str) -> str:
    return " ".join(unescape(_MARK.sub("", line)).replace("\0", "").split())


SUBTITLES = Loader("a transcript", frozenset({".vtt", ".srt"}), MEDIA_TYPES, load)
