"""What the sources of an ingestion hold, as items: one for each document, each file of records and archive opened."""

import asyncio
import io
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from blocks.connections import bucket
from blocks.sources import Offer, Walk, Walked, kind_of, kinds, reading_kind
from kowai import jsonl
from kowai.archives import is_archive
from kowai.errors import DocumentError, DuplicateId, KowaiError, SourceForbidden, SourceMissing
from kowai.labels import handling_of
from kowai.sources import line_hash
from kowai.tables.ingestion import Source
from tasks.unpack import holds_many, readable_suffixes, unpack

Item = dict[str, Any]
PLACE = ("path", "offset", "url", "blob", "file", "origin")


class Offers:
    """Yield the items of `sources`, in a thread that may wait; afterwards `walks` says what each stored walk left.

    A source that holds none is itself a dead item. A walk without `gone` could not see all that is there.
    """

    def __init__(self, sources: Iterable[Item], stored: Mapping[str, Source], tenant_id: UUID) -> None:
        self.walks: dict[str, Any] = {}
        self._sources = sources
        self._stored = stored
        self._tenant_id = tenant_id
        self._loop = asyncio.get_running_loop()
        self._is_whole = True

    def __iter__(self) -> Iterator[Item]:
        return _distinct(self._items())

    def _items(self) -> Iterator[Item]:
        for source in self._sources:
            uri = str(source["uri"])
            stored = None if "original" in source else self._stored.get(uri)
            told = (stored.handling if stored else {}) | handling_of(source).told()
            for item in self._found(source, stored):
                named = "original" in source or item["uri"] == uri
                details = {"details": told | item["details"]}
                yield item | details | {"source_id": stored.id if stored else None, "named": named}

    def _found(self, source: Item, stored: Source | None) -> Iterator[Item]:
        uri = str(source["uri"])
        if "cause" in source:
            yield _item(uri) | {"state": "dead", "cause": source["cause"], "sentence": source["sentence"]}
        elif "unpacked" in source:
            yield _dead(uri, SourceMissing(f"{uri} was unpacked and is no longer stored: upload it again."))
        elif is_packed(source):
            with bucket().open(source["original"]) as file:
                yield from self._unpacked(file, uri, source["name"])
        elif "original" in source:
            yield _item(uri, details=source)
        else:
            yield from self._walked(uri, stored)

    def _walked(self, uri: str, stored: Source | None) -> Iterator[Item]:
        kind = kinds()[stored.kind if stored else kind_of(uri)]
        kept = {"options": stored.options, "marks": stored.marks} if stored else {}
        self._is_whole = True
        try:
            walked: Walked = self._wait(kind.walk(Walk(uri, self._tenant_id, readable_suffixes(), **kept)))
            for offer in walked.found:
                yield from self._opened(offer)
        except DocumentError as error:
            yield _dead(uri, error)
        except OSError as error:
            yield _dead(uri, SourceForbidden(f"{uri} cannot be read: {error.strerror or error}."))
        except Exception as error:  # one source takes no other along, whatever a block of Prefect's may raise
            if isinstance(error, KowaiError) and error.retryable:
                raise
            told = error.sentence if isinstance(error, KowaiError) else f"It failed with {type(error).__name__}."
            yield _dead(uri, DocumentError(f"{uri} could not be walked. {told}"))
        else:
            if stored:
                gone = {"gone": None if walked.gone is None else list(walked.gone)} if self._is_whole else {}
                self.walks[str(stored.id)] = {"marks": dict(walked.marks)} | gone

    def _opened(self, offer: Offer) -> Iterator[Item]:
        if offer.error is not None:
            self._is_whole = self._is_whole and not offer.hides
            yield _dead(offer.uri, offer.error)
        elif "path" in offer.details and Path(offer.name).suffix.lower() in jsonl.SUFFIXES:
            yield from self._records(offer.details["path"])
        elif "path" in offer.details and is_archive(offer.name):
            with open(offer.details["path"], "rb") as file:
                yield from self._unpacked(file, offer.uri, offer.name)
        elif holds_many(offer.name):
            yield from self._fetched(offer)
        else:
            yield _item(offer.uri, details=offer.details)

    def _fetched(self, offer: Offer) -> Iterator[Item]:
        """Yield the documents in a file that lies elsewhere; one that cannot be had takes no other along."""
        try:
            content = self._wait(reading_kind(offer.details).read(offer.details, {}))
        except DocumentError as error:
            self._is_whole = False
            yield _dead(offer.uri, error)
        else:
            yield from self._unpacked(io.BytesIO(content.data), offer.uri, offer.name)

    def _unpacked(self, file: BinaryIO, uri: str, name: str) -> Iterator[Item]:
        for found in unpack(file, uri, name, self._tenant_id):
            self._is_whole = self._is_whole and found.error is None
            yield _dead(found.uri, found.error) if found.error else _item(found.uri, details=found.details)

    def _records(self, path: str) -> Iterator[Item]:
        """Yield an item for each record of a file, with the place of its line in bytes."""
        place: dict[str, Any] = {"offset": 0, "length": 0}

        def lines(file: BinaryIO) -> Iterator[bytes]:
            for line in file:
                place["offset"], place["length"] = place["offset"] + place["length"], len(line)
                place["line"] = line_hash(line)
                yield line

        with open(path, "rb") as file:
            for found in jsonl.parse(lines(file), path):
                if isinstance(found, jsonl.BadLine):
                    self._is_whole = False
                    yield _dead(f"{path}#{found.line}", found.error)
                else:
                    yield _item(found.id, details={"path": path, "external_id": found.id, **place})

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def is_packed(source: Item) -> bool:
    """Say whether a source is an uploaded file that holds documents rather than being one."""
    return "original" in source and holds_many(source["name"])


def unpacked(source: Item) -> Item:
    """Return a source as it is kept once its documents are accepted: without the archive they came in."""
    if not is_packed(source):
        return source
    return {name: value for name, value in source.items() if name != "original"} | {"unpacked": True}


def _distinct(items: Iterable[Item]) -> Iterator[Item]:
    """Yield every item once; another document under an id that was there before is a dead letter of its own."""
    places: dict[str, tuple[Any, ...]] = {}
    repeats: Counter[str] = Counter()
    for item in items:
        uri, details = str(item["uri"]), item["details"]
        place = tuple(details.get(name) for name in PLACE)
        if uri not in places:
            places[uri] = place
            yield item
        elif places[uri] != place or ("original" in details and "origin" not in details):
            repeats[uri] += 1
            error = DuplicateId(f"Another document has the id {uri!r} already: rename one of them.")
            yield item | _dead(f"{uri}#{repeats[uri] + 1}", error)


def _dead(uri: str, error: KowaiError) -> Item:
    return _item(uri) | {"state": "dead", "cause": error.code, "sentence": error.sentence}


def _item(uri: str, details: dict[str, Any] | None = None) -> Item:
    return {"uri": uri, "state": "queued", "cause": None, "sentence": None, "details": details or {}}
