"""The blocks this process works with: served from memory, renewed in the background."""

import asyncio
import time
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, TypeVar

from prefect.blocks.core import Block

from blocks.bucket import Bucket
from blocks.database import Database
from blocks.embedder import Embedder
from blocks.language_model import LanguageModel
from blocks.policy import Policy
from blocks.reading import Reader
from kowai.errors import Misconfigured
from kowai.loaders import Limits
from kowai.settings import settings

NAME = "kowai"
FRESH_SECONDS = 30.0
PATIENCE_SECONDS = 3.0

Kind = TypeVar("Kind", bound=Block)


class Known(NamedTuple):
    block: Block | None
    read_at: float


_known: dict[type[Block], Known] = {}
_renewals: set[asyncio.Task[Any]] = set()


async def database() -> Database:
    """Return the database this process was started with, or else the block of that name."""
    url = settings().app_database_url
    block = Database(url=url) if url is not None else await _current(Database)
    if block is None:
        raise Misconfigured("No database is configured: set KOWAI_APP_DATABASE_URL or the block kowai-database/kowai.")
    return block


async def embedder() -> Embedder:
    return await _current(Embedder) or Embedder()


async def language_model() -> LanguageModel:
    return await _current(LanguageModel) or LanguageModel()


async def policy() -> Policy:
    return await _current(Policy) or Policy()


@cache
def reader() -> Reader:
    """Return this process's reader of documents, whose child processes stay warm."""
    return Reader(Limits(max_bytes=settings().max_document_bytes), memory_bytes=settings().reader_memory_bytes)


def bucket() -> Bucket:
    return Bucket(folder=settings().bucket)


async def _current(kind: type[Kind]) -> Kind | None:
    """Return the block last read; a stale one is renewed behind the caller's back, so chat never waits for Prefect."""
    known = _known.get(kind)
    if known is None:
        await _read(kind)
        known = _known[kind]
    elif time.monotonic() - known.read_at > FRESH_SECONDS:
        _known[kind] = known._replace(read_at=time.monotonic())
        renewal = asyncio.create_task(_read(kind))
        _renewals.add(renewal)
        renewal.add_done_callback(_renewals.discard)
    return known.block if isinstance(known.block, kind) else None


async def _read(kind: type[Block]) -> None:
    """Read the block from Prefect; one that is absent or out of reach leaves what was known."""
    known = _known.get(kind)
    block = known.block if known else None
    with suppress(Exception):  # Prefect raises ValueError for an absent block and a dozen kinds when out of reach
        async with asyncio.timeout(PATIENCE_SECONDS):
            block = await kind.aload(NAME)
    _known[kind] = Known(block, time.monotonic())
