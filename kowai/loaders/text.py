"""Plain text: the file's own characters."""

from kowai.decoding import decode
from kowai.loaders import Limits, Loader
from kowai.types import LoadedDocument


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    return LoadedDocument(text=decode(data, name, charset), media_type="text/plain")


TEXT = Loader("plain text", frozenset({".txt", ".text"}), frozenset({"text/plain"}), load, isolated=False)
