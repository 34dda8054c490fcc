"""A bucket of Appwrite by its id: `appwrite:reports`, which the block kowai-appwrite has to say is this tenant's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from blocks import appwrite_files, connections
from blocks.appwrite import Appwrite
from blocks.appwrite_calls import AppwriteRefused, AppwriteUnavailable
from blocks.appwrite_files import Found, Place
from blocks.sources import Content, Offer, SourceKind, Walk, Walked
from kowai.errors import DocumentTooLarge, FetchFailed, SourceEmpty, SourceForbidden, SourceMissing
from kowai.settings import settings
from kowai.tables.identity import Tenant

PREFIX = "appwrite:"
ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,35}")


async def walk(source: Walk) -> Walked:
    bucket = source.uri.removeprefix(PREFIX)
    project = await _project(bucket, source.tenant_id)
    try:
        found = await project.call(lambda client: list(appwrite_files.listed(client, bucket)))
    except (AppwriteRefused, AppwriteUnavailable) as error:
        raise _typed(error, source.uri) from error
    wanted = [file for file in found if file.whole and PurePosixPath(file.name).suffix.lower() in source.suffixes]
    if not wanted:
        raise SourceEmpty(f"{source.uri} holds no document that KowAI can read.")
    return Walked(_offers(wanted, source.uri, source.tenant_id))


def _offers(found: Iterable[Found], uri: str, tenant_id: UUID) -> Iterator[Offer]:
    bucket = uri.removeprefix(PREFIX)
    for file in found:
        details = {"appwrite": bucket, "file": file.id, "tenant": str(tenant_id), "name": file.name}
        yield Offer(f"{uri}/{file.id}", details, file.name)


async def read(details: dict[str, Any], known: Mapping[str, Any]) -> Content | None:
    """Fetch a file unless its signature, the MD5 of its content, is the known one."""
    place = Place(details["appwrite"], details["file"])
    uri = f"{PREFIX}{place.bucket}/{place.id}"
    project = await _project(place.bucket, UUID(details["tenant"]))
    try:
        found = await project.call(lambda client: appwrite_files.look(client, place))
        if found is None:
            raise SourceMissing(f"{uri} is not there any more.")
        if found.size > settings().max_document_bytes:
            raise DocumentTooLarge.beyond(found.name, settings().max_document_bytes)
        if found.signature and found.signature == known.get("signature"):
            return None
        data = await project.call(lambda client: appwrite_files.fetch(client, place))
    except (AppwriteRefused, AppwriteUnavailable) as error:
        raise _typed(error, uri) from error
    return Content(data, found.name, validators={"signature": found.signature})


async def _project(bucket: str, tenant_id: UUID) -> Appwrite:
    """Return the project, if it lets this tenant read this bucket. Raises SourceMissing and SourceForbidden."""
    project = await connections.appwrite()
    if project is None:
        raise SourceMissing("There is no project of Appwrite: save a block kowai-appwrite/kowai in Prefect.")
    async with (await connections.database()).connection() as connection:
        name = await connection.scalar(select(col(Tenant.name)).where(col(Tenant.id) == tenant_id))
    if not ID.fullmatch(bucket) or name is None or project.sources.get(bucket) != name:
        raise SourceForbidden(f"The block kowai-appwrite does not name {bucket!a} as a source of this tenant.")
    return project


def _typed(error: AppwriteRefused | AppwriteUnavailable, uri: str) -> Exception:
    if isinstance(error, AppwriteUnavailable):
        return FetchFailed(f"{uri} cannot be read now: {error.sentence}", operator=error.operator)
    return SourceMissing(f"{uri} does not exist, or the key may not read it.", operator=error.operator)


kind = SourceKind("A bucket of Appwrite.", "appwrite", lambda uri: 4 if uri.startswith(PREFIX) else 0, walk, read)
