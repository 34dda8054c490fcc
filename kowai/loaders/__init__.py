"""The formats KowAI reads: one file each, found by `discover`."""

from functools import cache
from typing import NamedTuple, Protocol

from kowai.registry import discover
from kowai.types import LoadedDocument


class Limits(NamedTuple):
    """Bound what one document may cost; a loader raises DocumentTooLarge beyond them."""

    max_bytes: int = 100_000_000
    max_pages: int = 5_000


class Load(Protocol):
    def __call__(self, data: bytes, name: str, limits: Limits = ..., charset: str | None = None) -> LoadedDocument:
        """Read one document; `name` is what sentences call it, `charset` what its sender declared."""
        ...


class Loader(NamedTuple):
    """Describe a format. `noun` is its name in a sentence; suffixes are lower case with their dot.

    An `isolated` loader parses with code that a hostile document may crash or stall: it runs in a child process.
    """

    noun: str
    suffixes: frozenset[str]
    media_types: frozenset[str]
    load: Load
    isolated: bool = True


@cache
def loaders() -> dict[str, Loader]:
    """Return every loader by name, in the order of their files."""
    return discover("kowai.loaders", Loader)


@cache
def suffixes() -> frozenset[str]:
    return frozenset(suffix for loader in loaders().values() for suffix in loader.suffixes)


def loader_for(media_type: str) -> Loader | None:
    return next((loader for loader in loaders().values() if media_type in loader.media_types), None)
