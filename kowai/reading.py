"""Bytes to a document: choose the loader, keep the limits, refuse what holds nothing."""

from kowai.errors import Corrupt, DocumentTooLarge, EmptyDocument
from kowai.loaders import Limits
from kowai.sniffing import choose
from kowai.types import LoadedDocument


def read(
    data: bytes, name: str, *, media_type: str | None = None, charset: str | None = None, limits: Limits = Limits()
) -> LoadedDocument:
    """Return the document that `data` is; a server's `media_type` and `charset` outrank the suffix of `name`.

    Raises a DocumentError. PDF must be read by one thread at a time: blocks.reading does so in child processes.
    """
    if len(data) > limits.max_bytes:
        raise DocumentTooLarge.beyond(name, limits.max_bytes)
    try:
        document = choose(data, name, media_type).load(data, name, limits, charset)
    except RecursionError as error:
        raise Corrupt(f"{name} is nested too deeply: export it again.", operator=str(error)) from error
    if not document.text.strip():
        raise EmptyDocument(f"{name} holds no text.")
    return document
