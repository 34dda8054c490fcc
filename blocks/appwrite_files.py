"""The files of a bucket in Appwrite: listed page by page, sent in parts where they are large."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from blocks.appwrite_calls import AppwriteRefused, refused_as
from blocks.appwrite_parts import PART, Parts

if TYPE_CHECKING:
    from appwrite.client import Client
    from appwrite.models.file import File
    from appwrite.services.storage import Storage

PAGE = 100
MISSING = 404


class Place(NamedTuple):
    """Name a file by its bucket and its id."""

    bucket: str
    id: str


class Found(NamedTuple):
    """Describe a file: `signature` is the MD5 of its content, and `whole` says whether all its parts have come."""

    id: str
    name: str
    size: int
    signature: str
    updated_at: str
    whole: bool


def storage(client: "Client") -> "Storage":
    from appwrite.services.storage import Storage

    return Storage(client)


def look(client: "Client", place: Place) -> Found | None:
    """Return what is known of a file; None when there is none."""
    try:
        return _found(storage(client).get_file(*place))
    except Exception as error:
        if refused_as(error, MISSING):
            return None
        raise


def listed(client: "Client", bucket: str, beginning: str = "") -> Iterator[Found]:
    """Yield the files whose names begin so."""
    from appwrite.query import Query

    wanted = [Query.starts_with("name", beginning)] if beginning else []
    page: list[Found] = []
    while not page or len(page) == PAGE:
        after = [Query.cursor_after(page[-1].id)] if page else []
        found = storage(client).list_files(bucket, [*wanted, Query.limit(PAGE), *after]).files
        page = [_found(file) for file in found]
        if not page:
            return
        yield from page


def fetch(client: "Client", place: Place) -> bytes:
    """Return a file's content, all of it in memory."""
    return storage(client).get_file_download(*place)


def fetch_range(client: "Client", place: Place, start: int, stop: int) -> bytes:
    """Return the bytes [start, stop) of a file, two or more; the SDK's own call takes no range."""
    path = f"/storage/buckets/{place.bucket}/files/{place.id}/download"
    headers: dict[str, Any] = {"X-Appwrite-Project": client.get_config("project"), "range": f"bytes={start}-{stop - 1}"}
    return cast("bytes", client.call("get", path, {**headers, "accept": "*/*"}, {}))


def send(client: "Client", place: Place, name: str, content: Parts) -> None:
    """Send a file, in parts where it is large."""
    from appwrite.input_file import InputFile

    data = content if len(content) > PART else content[:]
    storage(client).create_file(*place, InputFile.from_bytes(data, name))


def rename(client: "Client", place: Place, name: str) -> None:
    storage(client).update_file(*place, name)


def delete(client: "Client", place: Place) -> bool:
    """Delete a file and tell whether it was there."""
    try:
        storage(client).delete_file(*place)
    except Exception as error:
        if refused_as(error, MISSING):
            return False
        raise
    return True


def is_missing(error: AppwriteRefused) -> bool:
    return error.status == MISSING


def _found(file: "File") -> Found:
    whole = file.chunksuploaded >= file.chunkstotal
    return Found(file.id, file.name, int(file.sizeoriginal), file.signature, file.updatedat, whole)
