"""Old Office documents, Outlook messages and rich text, read by kreuzberg, which turns them into Markdown.

It is not used where a reader of our own keeps more: of the documents we test with it drops charts, notes, columns of
tables and whole presentations.
"""

import re
from typing import Any

from kowai.decoding import canonical
from kowai.errors import Corrupt, Encrypted
from kowai.loaders import Limits, Loader
from kowai.loaders.markdown import headings_of
from kowai.sniffing import kind_of
from kowai.types import ContentType, LoadedDocument

SUFFIXES = {
    ".doc": "application/msword",
    ".dot": "application/msword",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pps": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
    ".rtf": "application/rtf",
}
CONVERSATIONS: dict[str, ContentType] = {"application/vnd.ms-outlook": "conversation"}

_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)\n?")


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync  # 70 MB of memory

    kind = kind_of(data)
    media_type = kind.media_type if kind and kind.media_type in SUFFIXES.values() else "application/msword"
    config = ExtractionConfig(output_format="markdown", use_cache=False)
    try:
        found: Any = extract_bytes_sync(data, media_type, config=config)
    except KreuzbergError as error:
        if "encrypt" in str(error).lower() or "password" in str(error).lower():
            raise Encrypted(f"{name} is locked by a password: save it without one.", operator=str(error)) from error
        raise Corrupt(f"{name} is damaged: export it in a newer format.", operator=str(error)[:500]) from error
    except (ValueError, RuntimeError, OSError) as error:
        raise Corrupt(f"{name} is damaged: export it in a newer format.", operator=str(error)[:500]) from error
    text = canonical(_IMAGE.sub("", found.content)).strip()
    headings = headings_of(text)
    said = found.metadata.get("title") or found.metadata.get("subject")
    first = min(headings, key=lambda heading: heading.level, default=None)
    return LoadedDocument(
        text=text,
        media_type=media_type,
        content_type=CONVERSATIONS.get(media_type),
        title=canonical(said).strip() if isinstance(said, str) and said.strip() else first.title if first else None,
        headings=headings,
    )


LEGACY = Loader("an old Office document", frozenset(SUFFIXES), frozenset(SUFFIXES.values()), load)
