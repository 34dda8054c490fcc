"""A Prefect filesystem block by its name: `block:local-file-system/acme-reports`, with a folder in it after that.

It is read for the tenant whose name it begins with; one that no tenant's name begins is the platform's own.

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
from uuid import UUID

from prefect.blocks.core import Block
from sqlalchemy import text

from blocks.connections import database
from blocks.sources import Content, Offer, SourceKind, Walk, Walked
from kowai.errors import DocumentTooLarge, Misconfigured, SourceEmpty, SourceForbidden, SourceMissing
from kowai.settings import settings

PREFIX = "block:"
OWNER = text("""
select id from tenant where :block = name or starts_with(:block, name || '-') order by length(name) desc limit 1
""")
IS_PLATFORM = text("select exists (select from api_key where role = 'platform_admin')")


async def walk(source: Walk) -> Walked:
    name, folder = _parts(source.uri)
    await _check_owner(name, source.tenant_id)
    block = await _load(name)
    if hasattr(block, "list_objects"):
        listed = await _awaited(block.list_objects(folder))
        paths = [str(found["Key"]) for found in listed]
    else:
        paths = await _downloaded(block, folder)
    wanted = sorted(path for path in paths if _is_wanted(path, source))
    if not wanted:
        raise SourceEmpty(f"{source.uri} holds no document that KowAI can read.")
    return Walked(_offers(wanted, name, source.tenant_id))


def _offers(paths: list[str], name: str, tenant_id: UUID) -> Iterator[Offer]:
    for path in paths:
        details = {"block": name, "file": path, "tenant": str(tenant_id)}
        yield Offer(f"{PREFIX}{name}/{path}", details, PurePosixPath(path).name)


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
    await _check_owner(details["block"], UUID(details["tenant"]))
    block = await _load(details["block"])
    try:
        data: bytes = await _awaited(block.read_path(details["file"]))
    except (OSError, ValueError) as error:
        raise SourceMissing(f"{details['file']} cannot be read from its block.", operator=repr(error)[:500]) from error
    if len(data) > settings().max_document_bytes:
        raise DocumentTooLarge.beyond(details["file"], settings().max_document_bytes)
    return Content(data, PurePosixPath(details["file"]).name)


async def _check_owner(block: str, tenant_id: UUID) -> None:
    """Let a tenant read its own blocks, those that its name begins; those that no tenant's does are the platform's.

    Prefect knows no tenants, so a block's name has to say whose it is. Raises SourceForbidden.
    """
    named = {"block": block.partition("/")[2]}
    async with (await database()).transaction(tenant_id) as connection:
        owner = await connection.scalar(OWNER, named)
        if owner == tenant_id or (owner is None and await connection.scalar(IS_PLATFORM)):
            return
    raise SourceForbidden(f"The block {block} is not this tenant's: its name would begin with the tenant's.")


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


def _claim(uri: str) -> int:
    return 4 if uri.startswith(PREFIX) else 0


SUMMARY = "A Prefect filesystem block that a tenant's name begins, or one of the platform's own."
kind = SourceKind(SUMMARY, "block", _claim, walk, read)
