"""A git repository, by its folder or URL; after the first time only what has changed since the last commit."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field

from blocks import git
from blocks.git import Change
from blocks.places import check_place
from blocks.sources import Content, Offer, Options, SourceKind, Walk, Walked
from blocks.sources.url import limits
from blocks.web import checked_addresses
from kowai.errors import DocumentTooLarge, FetchRefused, SourceEmpty, SourceMissing
from kowai.settings import settings
from kowai.sources import is_url

PREFIX = "git+"


class GitOptions(Options):
    branch: str | None = Field(None, pattern=r"^[\w][\w./-]*$", max_length=200, description="Which branch; else HEAD.")
    folder: str = Field("", description="Only what lies in this folder of the repository.")


async def walk(source: Walk) -> Walked:
    branch = source.options.get("branch")
    reference = f"refs/heads/{branch}" if branch else "HEAD"
    folder = _folder(source.uri, source.tenant_id)
    if is_url(_bare(source.uri)):
        url = _bare(source.uri)
        await asyncio.to_thread(git.fetch, folder, url, reference, await _pinned(url))
        reference = git.HEAD
    else:
        check_place(await asyncio.to_thread(git.home, folder))
    return await asyncio.to_thread(_walked, source, folder, reference)


def _walked(source: Walk, folder: Path, reference: str) -> Walked:
    """Offer what changed since the commit of the last walk, or all where that commit is not known any more."""
    commit, last = git.commit_of(folder, reference), source.marks.get("commit")
    if last == commit:
        return Walked(iter(()), source.marks, ())
    if last and git.knows(folder, last):
        found = [change for change in git.changes(folder, last, commit) if _is_wanted(change, source)]
        gone = [f"{source.uri}@{change.path}" for change in found if change.blob is None]
        return Walked(_offers(found, source), {"commit": commit}, gone)
    found = [change for change in git.files(folder, commit) if _is_wanted(change, source)]
    if not found:
        raise SourceEmpty(f"{source.uri} holds no document that KowAI can read.")
    return Walked(_offers(found, source), {"commit": commit})


def _offers(found: Iterable[Change], source: Walk) -> Iterator[Offer]:
    for path, blob in found:
        if blob is not None:
            details = {"repository": source.uri, "blob": blob, "tenant": str(source.tenant_id), "file": path}
            yield Offer(f"{source.uri}@{path}", details, PurePosixPath(path).name)


def _is_wanted(change: Change, source: Walk) -> bool:
    path = PurePosixPath(change.path)
    inside = path.is_relative_to(source.options.get("folder", "").strip("/"))
    return inside and path.suffix.lower() in source.suffixes and not any(part.startswith(".") for part in path.parts)


async def read(details: dict[str, Any], _: Mapping[str, Any]) -> Content:
    return await asyncio.to_thread(_content, details)


def _content(details: dict[str, Any]) -> Content:
    folder, blob = _folder(details["repository"], UUID(details["tenant"])), details["blob"]
    if git.size(folder, blob) > settings().max_document_bytes:
        raise DocumentTooLarge.beyond(details["file"], settings().max_document_bytes)
    return Content(git.content(folder, blob), PurePosixPath(details["file"]).name)


def _bare(uri: str) -> str:
    return uri.removeprefix(PREFIX)


def _folder(uri: str, tenant_id: UUID) -> Path:
    """Return the repository itself, or where what is fetched from its URL is kept."""
    address = _bare(uri)
    if is_url(address):
        return fetched(tenant_id) / fetched_as(uri)
    folder = Path(address.removeprefix("file://")).expanduser().absolute()
    check_place(folder)
    if not folder.is_dir():
        raise SourceMissing(f"{address} does not exist.")
    return folder


def fetched(tenant_id: UUID) -> Path:
    """Return the folder that holds what is fetched for a tenant."""
    return settings().state.expanduser().absolute() / "repositories" / str(tenant_id)


def fetched_as(uri: str) -> str:
    """Return the name of the folder in there that a repository is fetched into."""
    return sha256(_bare(uri).encode()).hexdigest()[:32]


async def _pinned(url: str) -> dict[str, str]:
    """Return the settings that hold git to the addresses that were checked. Raises FetchRefused."""
    parts = urlsplit(url)
    if parts.username or parts.password or not parts.hostname:
        raise FetchRefused("The URL of a repository holds a user name or password, or no host.")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme.lower()]
    try:
        addresses = await checked_addresses(parts.hostname, port, limits())
    except OSError as error:
        raise FetchRefused(f"{parts.hostname} has no address.", operator=str(error)) from error
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return {"http.curloptResolve": f"{parts.hostname}:{port}:{shown}"}


def _claim(uri: str) -> int:
    if uri.startswith(PREFIX) or (is_url(uri) and urlsplit(uri).path.endswith(".git")):
        return 4
    return 0


kind = SourceKind("A git repository, by commit.", "repository", _claim, walk, read, GitOptions)
