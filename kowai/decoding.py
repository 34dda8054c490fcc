"""Bytes to canonical text, whose characters every later offset counts.

Canonical text is what the bytes decode to, without the byte order mark, NUL and lone surrogates, and with CRLF as LF.
Nothing else is changed: no Unicode normalisation, no trimming. Offsets count code points, as Python's `len` does.
"""

import codecs
import re

from charset_normalizer import CharsetMatches, from_bytes

from kowai.errors import NotText

SAMPLE_BYTES = 65_536
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its first half
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Fewer candidates guess better: French in Latin-1 otherwise passes for Baltic, Russian KOI8 for Japanese.
LEGACY = ["cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"]
LEGACY.extend(("cp932", "euc_jp", "gb18030", "big5", "euc_kr"))
CODECS = {"utf-8", "utf-16", *(codecs.lookup(name).name for name in LEGACY)}

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CONTROLS = bytes(code for code in range(32) if code not in b"\b\t\n\f\r\x1b") + b"\x7f"


def decode(data: bytes, name: str, charset: str | None = None) -> str:
    """Return the canonical text of `data`; a byte order mark wins over `charset`. Raises NotText."""
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    try:
        if mark:
            return canonical(data.removeprefix(codecs.BOM_UTF8).decode(MARKS[mark]))
        if declared := known(charset):
            return canonical(data.decode(declared, "replace"))
    except UnicodeDecodeError as error:
        sentence = f"{name} starts like {MARKS[mark].upper()} text but is damaged: save it as UTF-8."
        raise NotText(sentence, operator=str(error)) from error
    return canonical(_undeclared(data, name))


def canonical(text: str) -> str:
    return _UNSTORABLE.sub("", text.replace("\r\n", "\n"))


def known(charset: str | None) -> str | None:
    """Return the codec of a declared charset, or None if no document may ask for it."""
    try:
        codec = codecs.lookup(charset or "").name
    except (LookupError, ValueError):
        return None
    if codec in ("iso8859-1", "ascii"):
        return "cp1252"  # as browsers do: pages that declare Latin-1 hold Windows' quotation marks
    return codec if codec in CODECS or codec.startswith("iso8859") else None


def is_binary(data: bytes) -> bool:
    """Say whether more than a twentieth of the first bytes are control characters no text holds."""
    sample = data[:SAMPLE_BYTES]
    if sample.startswith(tuple(MARKS)):
        return False
    return len(sample) - len(sample.translate(None, _CONTROLS)) > 1 + len(sample) // 20


def _undeclared(data: bytes, name: str) -> str:
    if is_binary(data):
        raise NotText(f"{name} holds binary data rather than text.")
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    valid = len(text) - len(text.encode("ascii", "ignore")) - damaged
    if damaged * 10 <= valid:
        return text  # UTF-8, perhaps with a stray byte that must not turn the rest into another script
    encoding = _guess(data)
    if encoding is None:
        raise NotText(f"The encoding of {name} cannot be told: save it as UTF-8.")
    return data.decode(encoding, "replace")


def _guess(data: bytes) -> str | None:
    """Return the likeliest legacy encoding; of equals the Western European one, which is by far the commonest."""
    first = re.search(rb"[\x80-\xff]", data)
    sample = data[max(0, (first.start() if first else 0) - 1024) :][:SAMPLE_BYTES]
    if len(sample) == SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample  # half a character would rule its encoding out
    matches: CharsetMatches = from_bytes(sample, cp_isolation=LEGACY)
    best = matches.best()
    if best is None:
        return None
    rivals = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    return "cp1252" if any("cp1252" in match.could_be_from_charset for match in rivals) else best.encoding
