"""A Prefect filesystem block by its name: `block:local-file-system/reports`, with a folder in it after that.

What a block's public interface gives is used: `list_objects` where it has one (S3), else `get_directory` into a folder
that is thrown away; documents are read by `read_path`.
"""

import asyncio
import inspect
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from prefect.blocks.core import Block

from blocks.sources import Content, Offer, SourceKind, Walk, Walked
from kowai.errors import DocumentTooLarge, Misconfigured, SourceEmpty, SourceMissing
from kowai.settings import settings

PREFIX = "block:"


async def walk(source: Walk) -> Walked:
    name, folder = _parts(source.uri)
    block = await _load(name)
    if hasattr(block, "list_objects"):
        listed = await _awaited(block.list_objects(folder))
        paths = [str(found["Key"]) for found in listed]
    else:
        paths = await _downloaded(block, folder)
    wanted = sorted(path for path in paths if _is_wanted(path, source))
    if not wanted:
        raise SourceEmpty(f"{source.uri} holds no document that KowAI can read.")
    return Walked(_offers(wanted, name))


def _offers(paths: list[str], name: str) -> Iterator[Offer]:
    for path in paths:
        yield Offer(f"{PREFIX}{name}/{path}", {"block": name, "file": path}, PurePosixPath(path).name)


async def _downloaded(block: Any, folder: str) -> list[str]:
    """Return the paths of a folder's files, as the block names them."""
    place = Path(tempfile.mkdtemp(prefix="kowai-block-"))
    try:
        await _awaited(block.get_directory(from_path=folder or None, local_path=str(place)))
        below = await asyncio.to_thread(_files_below, place)
    except FileNotFoundError as error:
        raise SourceMissing(f"The block has no folder {folder!a}.", operator=str(error)) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    return [(PurePosixPath(folder) / path.as_posix()).as_posix() for path in below]


def _files_below(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


async def read(details: dict[str, Any], _: Mapping[str, Any]) -> Content:
    block = await _load(details["block"])
    try:
        data: bytes = await _awaited(block.read_path(details["file"]))
    except (OSError, ValueError) as error:
        raise SourceMissing(f"{details['file']} cannot be read from its block.", operator=repr(error)[:500]) from error
    if len(data) > settings().max_document_bytes:
        raise DocumentTooLarge.beyond(details["file"], settings().max_document_bytes)
    return Content(data, PurePosixPath(details["file"]).name)


async def _load(name: str) -> Any:
    try:
        return await Block.aload(name)
    except (ValueError, RuntimeError) as error:
        raise Misconfigured(f"There is no Prefect block {name}.", operator=str(error)) from error


async def _awaited(result: Any) -> Any:
    """Return a block's answer, whether its method is written for async callers or not."""
    return await result if inspect.isawaitable(result) else result


def _is_wanted(path: str, source: Walk) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix.lower() in source.suffixes and not any(part.startswith(".") for part in pure.parts)


def _parts(uri: str) -> tuple[str, str]:
    """Return a block's type and name, and the folder in it."""
    steps = uri.removeprefix(PREFIX).strip("/").split("/")
    if len(steps) < 2 or not all(steps):
        raise SourceMissing(f"{uri} names no block: write block:TYPE/NAME, such as block:local-file-system/reports.")
    return "/".join(steps[:2]), "/".join(steps[2:])


kind = SourceKind("A Prefect filesystem block.", "block", lambda uri: 4 if uri.startswith(PREFIX) else 0, walk, read)
