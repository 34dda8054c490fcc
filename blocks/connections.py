"""The blocks this process works with: served from memory, renewed in the background."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from pydantic import SecretStr

from blocks.appwrite import Appwrite
from blocks.appwrite_bucket import AppwriteBucket
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
PAUSE_SECONDS = 1.0
# There is one of each as soon as Prefect has been told what there is, which a process may begin before.
STANDING: tuple[type[Block], ...] = (Embedder, LanguageModel, Policy)

Kind = TypeVar("Kind", bound=Block)


class Known(NamedTuple):
    block: Block | None
    read_at: float


# A block is known by its kind, and by its name where that is not NAME.
Key = type[Block] | tuple[type[Block], str]

_known: dict[Key, Known] = {}
_renewals: set[asyncio.Task[Any]] = set()


async def database() -> Database:
    """Return the database this process was started with, or else the block of that name."""
    url = settings().app_database_url
    block = _database(url) if url is not None else await _current(Database)
    if block is None:
        raise Misconfigured("No database is configured: set KOWAI_APP_DATABASE_URL or the block kowai-database/kowai.")
    return block


@cache
def _database(url: SecretStr) -> Database:
    return Database(url=url)


async def embedder(name: str = NAME) -> Embedder:
    """Return the embedder block of that name. Raises Misconfigured when there is none."""
    block = await _current(Embedder, name)
    if block is None and name != NAME:
        raise Misconfigured(f"There is no block kowai-embedder/{name}: make it in Prefect under Blocks.")
    return block or Embedder()


def known_embedders() -> list[Embedder]:
    """Return the embedder blocks that this process has worked with."""
    return [known.block for known in _known.values() if isinstance(known.block, Embedder)]


async def language_model() -> LanguageModel:
    return await _current(LanguageModel) or LanguageModel()


async def policy() -> Policy:
    return await _current(Policy) or Policy()


async def appwrite() -> Appwrite | None:
    """Return the project of Appwrite this installation works with, if it does with one."""
    return await _current(Appwrite)


@cache
def reader() -> Reader:
    """Return this process's reader of documents, whose child processes stay warm."""
    return Reader(Limits(max_bytes=settings().max_document_bytes), memory_bytes=settings().reader_memory_bytes)


def bucket() -> Bucket | AppwriteBucket:
    """Return where originals and results are kept. Raises Misconfigured where that is no bucket of Appwrite after all.

    The first call of a process may wait for Prefect where that is Appwrite's.
    """
    if settings().originals == "folder":
        return _folder(settings().bucket)
    if Appwrite not in _known:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _read(Appwrite, NAME)).result()
    project = _known[Appwrite].block
    if not isinstance(project, Appwrite) or not project.bucket:
        _known.pop(Appwrite, None)
        raise Misconfigured("KOWAI_ORIGINALS is appwrite, but the block kowai-appwrite/kowai names no bucket.")
    return AppwriteBucket(project=project, bucket=project.bucket)


@cache
def _folder(folder: Path) -> Bucket:
    return Bucket(folder=folder)


async def _current(kind: type[Kind], name: str = NAME) -> Kind | None:
    """Return the block last read; a stale one is renewed behind the caller's back, so chat never waits for Prefect."""
    key = _key(kind, name)
    known = _known.get(key)
    if known is None:
        await _read(kind, name)
        known = _known[key]
    elif time.monotonic() - known.read_at > FRESH_SECONDS:
        due = {each: one for each, one in _known.items() if time.monotonic() - one.read_at > FRESH_SECONDS / 2}
        _known.update({each: one._replace(read_at=time.monotonic()) for each, one in due.items()})
        renewal = asyncio.create_task(_renew([*due]))
        _renewals.add(renewal)
        renewal.add_done_callback(_renewals.discard)
    return known.block if isinstance(known.block, kind) else None


async def find_standing() -> None:
    """Ask for the blocks that have to be there until they are, so that nobody is answered without them for long."""
    while missing := [kind for kind in STANDING if kind not in _known or _known[kind].block is None]:
        await _renew(missing)
        await asyncio.sleep(PAUSE_SECONDS)


def _key(kind: type[Block], name: str) -> Key:
    return kind if name == NAME else (kind, name)


async def _renew(keys: Sequence[Key]) -> None:
    """Read blocks by one client: making one holds everybody up for longer than a block takes to be read."""
    with suppress(Exception):
        async with get_client() as client:
            for key in keys:
                kind, name = key if isinstance(key, tuple) else (key, NAME)
                await _read(kind, name, client)


async def _read(kind: type[Block], name: str, client: PrefectClient | None = None) -> None:
    """Read the block from Prefect; absent or out of reach it leaves what was known, and so it does a newer one."""
    key = _key(kind, name)
    known = _known.get(key)
    block = known.block if known else None
    with suppress(Exception):  # Prefect raises ValueError for an absent block and a dozen kinds when out of reach
        async with asyncio.timeout(PATIENCE_SECONDS):
            block = await kind.aload(name, client=client)
    if _known.get(key) is known:
        _known[key] = Known(block, time.monotonic())
