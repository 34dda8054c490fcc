"""Originals and results in a bucket of Appwrite, behind the same methods as the folder of local files.

Its files have no paths and are not written over: a path is an id by its hash, and a name that says in clear which path
it is and when it was last put, by our own clock.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote
from uuid import UUID

from prefect.filesystems import WritableFileSystem
from pydantic import Field, HttpUrl

from blocks import appwrite_files
from blocks.appwrite import Appwrite
from blocks.appwrite_calls import AppwriteRefused, AppwriteUnavailable, refused_as
from blocks.appwrite_files import Found, Place
from blocks.appwrite_parts import PART, Parts, Ranges
from blocks.bucket import hashed_path, is_within
from kowai.errors import SourceMissing

if TYPE_CHECKING:
    from appwrite.client import Client

CONFLICT = 409
UPLOADING = timedelta(minutes=15)  # what is not whole by then was given up
GONE = "The original of this document is no longer stored."


class AppwriteBucket(WritableFileSystem):
    """Keep files in a bucket of Appwrite. Flows may store their results here."""

    _block_type_name = "KowAI Appwrite Bucket"
    _block_type_slug = "kowai-appwrite-bucket"
    _documentation_url = HttpUrl("https://appwrite.io/docs/products/storage")
    _description = "Originals of uploaded documents and results of flows, in a bucket of Appwrite."

    project: Appwrite = Field(title="Project", description="The project of Appwrite.")
    bucket: str = Field(min_length=1, max_length=36, title="Bucket", description="The bucket's id.")

    async def put(self, tenant_id: UUID, content: bytes) -> str:
        """Store `content` and return its path; storing the same content again changes nothing."""
        path = hashed_path(tenant_id, content)
        await self.write_path(path, content)
        return path

    def keep(self, tenant_id: UUID, content: bytes) -> str:
        """Do what `put` does, in a thread that may wait."""
        path = hashed_path(tenant_id, content)
        self.project.do(lambda client: self._store(client, path, Parts(BytesIO(content))))
        return path

    def open(self, path: str) -> BinaryIO:
        """Return a stored file to be read piece by piece, in a thread that may wait."""
        place = self._place(path)
        found = self.project.do(lambda client: appwrite_files.look(client, place))
        if found is None:
            raise SourceMissing(GONE, operator=path)
        if found.size <= PART:
            return BytesIO(self._read(path))

        def fetch(start: int, stop: int) -> bytes:
            return self.project.do(lambda client: appwrite_files.fetch_range(client, place, start, stop))

        return BufferedReader(Ranges(fetch, found.size), PART)

    def _read(self, path: str) -> bytes:
        try:
            return self.project.do(lambda client: appwrite_files.fetch(client, self._place(path)))
        except AppwriteRefused as error:
            raise _missing(error, path) from error

    def at_hand(self, path: str) -> bytes | None:
        """Return None: every file is as far away as the server, which is asked for several at once."""

    async def read_path(self, path: str) -> bytes:
        try:
            return await self.project.call(lambda client: appwrite_files.fetch(client, self._place(path)))
        except AppwriteRefused as error:
            raise _missing(error, path) from error

    async def remove(self, path: str, *, last_put: datetime) -> bool:
        """Delete a file that nobody has put again since; tell whether it was there."""

        def work(client: "Client") -> bool:
            found = appwrite_files.look(client, self._place(path))
            if found is None or _put_at(found.name) > last_put.timestamp():
                return False
            return appwrite_files.delete(client, self._place(path))

        return await self.project.call(work)

    def files(self, tenant_id: UUID, folder: str | None = None) -> Iterator[str]:
        """Yield the paths of a tenant's originals, or of what lies in a folder of it, in a thread that may wait."""
        within = quote(f"{tenant_id}/{folder}/" if folder else f"{tenant_id}/", "")
        found = self.project.do(lambda client: list(appwrite_files.listed(client, self.bucket, within)))
        yield from (path for path in map(_path, found) if is_within(path, folder))

    async def erase(self, tenant_id: UUID) -> None:
        """Delete every file of a tenant."""

        def work(client: "Client") -> None:
            for file in self._own(client, tenant_id):
                appwrite_files.delete(client, Place(self.bucket, file.id))

        await self.project.call(work)

    async def write_path(self, path: str, content: bytes) -> None:
        await self.copy_to(path, BytesIO(content))

    async def copy_to(self, path: str, content: BinaryIO) -> None:
        """Write what is left of an open file, at most eight parts of it in memory at once."""
        await self.project.call(lambda client: self._store(client, path, Parts(content)))

    def _own(self, client: "Client", tenant_id: UUID) -> list[Found]:
        return list(appwrite_files.listed(client, self.bucket, quote(f"{tenant_id}/", "")))

    def _place(self, path: str) -> Place:
        return Place(self.bucket, sha256(path.encode()).hexdigest()[:36])

    def _store(self, client: "Client", path: str, content: Parts) -> None:
        """Send a file unless it is there. Raises AppwriteUnavailable while somebody else is sending it.

        A file that was given up half-way is sent from its beginning: the SDK would go on after as many parts as have
        come, but it sends eight at once, in any order.
        """
        place, name = self._place(path), f"{quote(path, '')}@{datetime.now(UTC).timestamp():.3f}"
        found = appwrite_files.look(client, place)
        if found and found.whole and found.signature == content.md5():
            return appwrite_files.rename(client, place, name)
        if found and not found.whole and datetime.now(UTC) - datetime.fromisoformat(found.updated_at) < UPLOADING:
            raise AppwriteUnavailable(operator=f"{path} is being sent by somebody else")
        if found:
            appwrite_files.delete(client, place)
        try:
            appwrite_files.send(client, place, name, content)
        except Exception as error:
            if refused_as(error, CONFLICT):
                raise AppwriteUnavailable(operator=f"{path} is being sent by somebody else") from error
            raise


def _missing(error: AppwriteRefused, path: str) -> Exception:
    return SourceMissing(GONE, operator=path) if appwrite_files.is_missing(error) else error


def _path(found: Found) -> str:
    return unquote(found.name.partition("@")[0])


def _put_at(name: str) -> float:
    """Return when a file was last put; one whose name does not say so was put by nobody of ours."""
    try:
        return float(name.rpartition("@")[2])
    except ValueError:
        return float("inf")
