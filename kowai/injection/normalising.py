"""Views of a text: as it stands without disguise, and what is encoded in it."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator

# Letters of other scripts that look like Latin ones (Unicode TR 39, the common ones).
LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝνοιαρτυкмнАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧɡɑ",
    "aeopcyxijshdqwvoiaptykmhABEKMHOPCTXIJSABEZHIKMNOPTYXga",
)
LEET = str.maketrans("013457@$!|", "oieastasil")
LETTERED = re.compile(r"(?<!\S)(?:\S[ .\-_*]){5,}\S(?!\S)")
BROKEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
BASE64 = re.compile(r"(?<![\w+/=])(?:[A-Za-z0-9+/_-]{4}){5,}[A-Za-z0-9+/_-]{0,4}={0,2}(?![\w+/=])")
HEX = re.compile(r"(?<!\w)(?:(?:\\x|%)?[0-9a-fA-F]{2}[ ]?){16,}(?!\w)")
MIXED = re.compile(r"[a-zA-Z][Ѐ-ӿͰ-Ͽ]|[Ѐ-ӿͰ-Ͽ][a-zA-Z]")
NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
TAGS = range(0xE0020, 0xE007F)  # characters that show nothing and spell ASCII
LONGEST_DECODED = 4_000


def plain(text: str) -> str:
    """Return the text without invisible characters, compatibility forms and letters that only look Latin."""
    shown = text
    if not text.isascii():
        shown = unicodedata.normalize("NFKC", NOT_ASCII.sub(_spelt_out, text))
        shown = NOT_ASCII.sub(_visible, shown)
        if MIXED.search(shown):
            shown = shown.translate(LOOK_ALIKES)
    return LETTERED.sub(lambda match: re.sub(r"[ .\-_*]", "", match[0]), shown)


def _spelt_out(run: re.Match[str]) -> str:
    return "".join(chr(ord(character) - 0xE0000) if ord(character) in TAGS else character for character in run[0])


def _visible(run: re.Match[str]) -> str:
    return "".join(character for character in run[0] if unicodedata.category(character) not in ("Cf", "Mn"))


def views(text: str) -> Iterator[str]:
    """Yield the plain text, then what it may read as once it is decoded."""
    shown = plain(text)
    yield shown
    yield from _decoded(shown)
    lower = shown.lower()
    yield codecs.encode(lower, "rot13")
    yield lower[::-1]
    if any(character in "013457@$!|" for character in lower):
        yield lower.translate(LEET)
    if BROKEN.search(lower):
        yield BROKEN.sub("", lower)


def _decoded(text: str) -> Iterator[str]:
    for match in BASE64.finditer(text):
        yield from _printable(_base64(match[0]))
    for match in HEX.finditer(text):
        yield from _printable(bytes.fromhex(re.sub(r"\\x|%|\s", "", match[0])[: 2 * LONGEST_DECODED]))


def _base64(written: str) -> bytes:
    bare = written.rstrip("=").replace("-", "+").replace("_", "/")[: LONGEST_DECODED // 4 * 4]
    try:
        return base64.b64decode(bare[: len(bare) // 4 * 4])
    except binascii.Error:
        return b""


def _printable(data: bytes) -> Iterator[str]:
    text = data.decode("utf-8", "ignore")
    if len(text) > 8 and sum(character.isprintable() or character.isspace() for character in text) > 0.95 * len(data):
        yield text
