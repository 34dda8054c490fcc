"""Originals and results: files named by the hash of their content, one folder per tenant."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from anyio import to_thread
from prefect.filesystems import WritableFileSystem
from pydantic import Field, HttpUrl

from kowai.errors import SourceMissing, Unavailable
from kowai.storable import StorageFull

SMALL = 1 << 20  # bytes that a disk gives sooner than another thread
PIECE = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Bucket(WritableFileSystem):
    """Keep files in a local folder. Paths are POSIX and relative to it."""

    _block_type_name = "KowAI Bucket"
    _block_type_slug = "kowai-bucket"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
    _description = "Originals of uploaded documents and results of flows, in a local folder."

    folder: Path = Field(title="Folder", description="Where the files lie; every worker must see the same folder.")

    async def put(self, tenant_id: UUID, content: bytes) -> str:
        """Store `content` and return its path; storing the same content again changes nothing.

        Raises StorageFull, and Unavailable where the folder cannot be written.
        """
        return await to_thread.run_sync(self.keep, tenant_id, content)

    def keep(self, tenant_id: UUID, content: bytes) -> str:
        """Do what `put` does, in a thread that may wait."""
        path = hashed_path(tenant_id, content)
        try:
            os.utime(self._resolve(path))
        except FileNotFoundError:
            _write_whole(self._resolve(path), BytesIO(content))
        return path

    def open(self, path: str) -> BinaryIO:
        """Return a stored file to be read piece by piece, in a thread that may wait."""
        try:
            return self._resolve(path).open("rb")
        except FileNotFoundError as error:
            raise SourceMissing("The original of this document is no longer stored.", operator=path) from error

    async def read_path(self, path: str) -> bytes:
        try:
            return await to_thread.run_sync(self._resolve(path).read_bytes)
        except FileNotFoundError as error:
            raise SourceMissing("The original of this document is no longer stored.", operator=path) from error

    def at_hand(self, path: str) -> bytes | None:
        """Return a small file in a thread that may wait; None for others, and where there is none."""
        try:
            with self._resolve(path).open("rb") as file:
                content = file.read(SMALL + 1)
        except (OSError, SourceMissing):
            return None
        return content if len(content) <= SMALL else None

    async def remove(self, path: str, *, last_put: datetime) -> bool:
        """Delete a file that nobody has put again since; tell whether it was there. Raises Unavailable."""
        try:
            return await to_thread.run_sync(_remove_older, self._resolve(path), last_put.timestamp())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable("The original could not be removed from the bucket.", operator=str(error)) from error

    def files(self, tenant_id: UUID, folder: str | None = None) -> Iterator[str]:
        """Yield the paths of a tenant's originals, or of what lies in a folder of it, in a thread that may wait."""
        for path in (self.folder / str(tenant_id)).glob(f"{folder or '[0-9a-f][0-9a-f]'}/*"):
            if len(path.name) == 64:
                yield f"{tenant_id}/{path.parent.name}/{path.name}"

    async def erase(self, tenant_id: UUID) -> None:
        """Delete every file of a tenant. Raises Unavailable while some are left."""
        try:
            await to_thread.run_sync(shutil.rmtree, self.folder / str(tenant_id))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable("Files could not be removed from the bucket.", operator=str(error)) from error

    async def write_path(self, path: str, content: bytes) -> None:
        await to_thread.run_sync(_write_whole, self._resolve(path), BytesIO(content))

    async def copy_to(self, path: str, content: BinaryIO) -> None:
        """Write what is left of an open file, piece by piece. Raises StorageFull and Unavailable."""
        await to_thread.run_sync(_write_whole, self._resolve(path), content)

    def _resolve(self, path: str) -> Path:
        whole = Path(os.path.normpath(self.folder / path))
        if not whole.is_relative_to(os.path.normpath(self.folder)):
            raise SourceMissing("This path leads out of the bucket.", operator=path)
        return whole


def hashed_path(tenant_id: UUID, content: bytes) -> str:
    """Return where a tenant's file of this content lies."""
    digest = sha256(content).hexdigest()
    return f"{tenant_id}/{digest[:2]}/{digest}"


def is_within(path: str, folder: str | None) -> bool:
    """Tell whether a path is one of a file that is named by the hash of its content, in its own folder or in this."""
    _, place, name = path.split("/") if path.count("/") == 2 else ("", "", "")
    return len(name) == 64 and place == (folder or name[:2])


def _remove_older(target: Path, moment: float) -> bool:
    if target.stat().st_mtime > moment:
        return False
    target.unlink()
    return True


def _write_whole(target: Path, content: BinaryIO) -> None:
    """Write beside the target and rename, so that neither a crash nor a full disk leaves half a file."""
    try:
        handle, name = _draft(target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(content, file, PIECE)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("There is no room left to keep this file.", operator=str(error)) from error
        raise Unavailable("The bucket cannot be written.", operator=str(error)) from error


def _draft(folder: Path) -> tuple[int, str]:
    """Open a new file in a folder, which is made where there is none."""
    try:
        return tempfile.mkstemp(dir=folder)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(dir=folder)
