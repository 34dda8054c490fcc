"""An answer read back by the transaction that stores it, for whoever waits for it in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from blocks.compiled import Compiled


@dataclass
class ReadBack:
    """Hold what reads an answer, given the query as `ids`, and the row it found; None where none was stored."""

    statement: Compiled
    row: Any = None


_wanted: ContextVar[ReadBack | None] = ContextVar("wanted", default=None)


@contextmanager
def reading_back(wanted: ReadBack) -> Generator[None]:
    """Let whatever stores an answer inside the block read it as `wanted`, too: a round trip less than after it."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted_back() -> ReadBack | None:
    """Return what is to be read by whoever stores the answer here, if somebody waits for it."""
    return _wanted.get()
