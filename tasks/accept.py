"""Turn the sources of an ingestion into items, each of which will end somewhere."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from blocks.connections import bucket, database
from kowai import jsonl
from kowai.archives import is_archive
from kowai.errors import DocumentError, DuplicateId, InvalidInput, KowaiError, SourceForbidden
from kowai.labels import handling_of
from kowai.settings import settings
from kowai.sources import Walk, is_url
from kowai.storable import storable
from kowai.tables.ingestion import Ingestion, IngestionItem, Source
from tasks.deleted import admit_items
from tasks.step import step
from tasks.unpack import holds_many, readable_suffixes, unpack

BATCH = 1000


@step
async def accept(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Store one item for each document the sources hold; a source that holds none is itself a dead item."""
    store = await database()
    async with store.transaction(tenant_id) as connection:
        sources = await connection.scalar(select(col(Ingestion.sources)).where(col(Ingestion.id) == ingestion_id)) or []
        known = select(col(Source.uri), col(Source.id)).where(col(Source.uri).in_([one["uri"] for one in sources]))
        source_ids = dict(row.tuple() for row in await connection.execute(known))
    items = _distinct(_items(sources, source_ids, tenant_id))
    while batch := await asyncio.to_thread(lambda: list(islice(items, BATCH))):
        rows = [item | {"ingestion_id": ingestion_id, "tenant_id": tenant_id} for item in batch]
        async with store.transaction(tenant_id) as connection:
            admitted = await admit_items(connection, rows, ingestion_id)
            if admitted:
                await connection.execute(postgresql.insert(IngestionItem).on_conflict_do_nothing(), admitted)


@step
async def remember(uris: Iterable[str], tenant_id: UUID) -> None:
    """Keep sources for the nightly ingestion. Raises InvalidInput for what cannot be the name of one."""
    rows = [{"tenant_id": tenant_id, "uri": _named(uri)} for uri in uris]
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(postgresql.insert(Source).on_conflict_do_nothing(), rows)


@step
async def remembered_sources(tenant_id: UUID) -> list[str]:
    """Return every source the tenant has ingested before."""
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(select(col(Source.uri)).order_by(col(Source.created_at))))


def _named(uri: str) -> str:
    if not uri.strip():
        raise InvalidInput("A source has no name: give a folder, a glob, a file or a URL.")
    return storable(uri)


def _distinct(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every item once; another document under an id that was there before is a dead letter of its own."""
    places: dict[str, tuple[Any, ...]] = {}
    repeats: Counter[str] = Counter()
    for item in items:
        uri, details = str(item["uri"]), item["details"]
        place = (details.get("path"), details.get("offset"), details.get("url"), details.get("origin"))
        if uri not in places:
            places[uri] = place
            yield item
        elif places[uri] != place or ("original" in details and "origin" not in details):
            repeats[uri] += 1
            error = DuplicateId(f"Another document has the id {uri!r} already: rename one of them.")
            yield item | _dead(f"{uri}#{repeats[uri] + 1}", error)


def _items(sources: Iterable[dict[str, Any]], source_ids: dict[str, UUID], tenant_id: UUID) -> Iterator[dict[str, Any]]:
    for source in sources:
        source_id = source_ids.get(str(source["uri"]))
        for item in _found(source, tenant_id):
            named = "original" in source or item["uri"] == source["uri"]
            told = {"details": handling_of(source).told() | item["details"]}
            yield item | told | {"source_id": source_id, "named": named}


def _found(source: dict[str, Any], tenant_id: UUID) -> Iterator[dict[str, Any]]:
    uri = str(source["uri"])
    if "cause" in source:
        yield _item(uri) | {"state": "dead", "cause": source["cause"], "sentence": source["sentence"]}
    elif "original" in source and holds_many(source["name"]):
        with bucket().open(source["original"]) as file:
            yield from _unpacked(file, uri, source["name"], tenant_id)
    elif "original" in source:
        yield _item(uri, details=source)
    elif is_url(uri):
        yield _item(uri, details={"url": uri})
    else:
        yield from _files(uri, tenant_id)


def _files(source: str, tenant_id: UUID) -> Iterator[dict[str, Any]]:
    """Yield an item for each file of a folder, glob or path, and for each document that a file holds."""
    try:
        for path, error in Walk(source, readable_suffixes()):
            if error is not None:
                yield _dead(path, error)
            elif Path(path).resolve().is_relative_to(settings().state.expanduser().resolve()):
                yield _dead(path, SourceForbidden("KowAI's own state directory is never ingested."))
            elif Path(path).suffix.lower() in jsonl.SUFFIXES:
                yield from _records(path)
            elif is_archive(path):
                with open(path, "rb") as file:
                    yield from _unpacked(file, path, Path(path).name, tenant_id)
            else:
                yield _item(path, details={"path": path})
    except DocumentError as error:
        yield _dead(source, error)
    except OSError as error:
        yield _dead(source, SourceForbidden(f"{source} cannot be read: {error.strerror or error}."))


def _unpacked(file: BinaryIO, uri: str, name: str, tenant_id: UUID) -> Iterator[dict[str, Any]]:
    for found in unpack(file, uri, name, tenant_id):
        yield _dead(found.uri, found.error) if found.error else _item(found.uri, details=found.details)


def _records(path: str) -> Iterator[dict[str, Any]]:
    """Yield an item for each record of a file, with the place of its line in bytes."""
    place = {"offset": 0, "length": 0}

    def lines(file: BinaryIO) -> Iterator[bytes]:
        for line in file:
            place["offset"], place["length"] = place["offset"] + place["length"], len(line)
            yield line

    with open(path, "rb") as file:
        for found in jsonl.parse(lines(file), path):
            if isinstance(found, jsonl.BadLine):
                yield _dead(f"{path}#{found.line}", found.error)
            else:
                yield _item(found.id, details={"path": path, "external_id": found.id, **place})


def _dead(uri: str, error: KowaiError) -> dict[str, Any]:
    return _item(uri) | {"state": "dead", "cause": error.code, "sentence": error.sentence}


def _item(uri: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"uri": uri, "state": "queued", "cause": None, "sentence": None, "details": details or {}}
