"""Folders, globs and files on the machine that reads them."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blocks.places import check_place
from blocks.sources import Content, Offer, SourceKind, Walk, Walked
from kowai import sources
from kowai.errors import SourceChanged, SourceForbidden
from kowai.settings import settings


async def walk(source: Walk) -> Walked:
    return Walked(_files(source))


def _files(source: Walk) -> Iterator[Offer]:
    for path, error in sources.Walk(source.uri, source.suffixes):
        found = error or _forbidden(Path(path))
        yield Offer(path, {"path": path}, Path(path).name, found, hides=found is not None)


def _forbidden(path: Path) -> SourceForbidden | None:
    try:
        check_place(path)
    except SourceForbidden as error:
        return error
    return None


async def read(details: dict[str, Any], _: Mapping[str, Any]) -> Content:
    return await asyncio.to_thread(_content, Path(details["path"]), details)


def _content(path: Path, details: dict[str, Any]) -> Content:
    """Read a file, or the one line of it that holds a record."""
    check_place(path)
    if "offset" not in details:
        return Content(sources.read_bytes(str(path), settings().max_document_bytes), path.name)
    with path.open("rb") as file:
        file.seek(details["offset"])
        line = file.read(details["length"])
    if sources.line_hash(line) != details.get("line", sources.line_hash(line)):
        raise SourceChanged(f"{path} was changed after its records were found: ingest it again.")
    return Content(line, path.name)


kind = SourceKind("Folders, globs and files as the worker sees them.", "path", lambda _: 1, walk, read)
