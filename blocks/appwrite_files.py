"""The files of a bucket in Appwrite: listed page by page, sent in parts where they are large."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from blocks.appwrite_calls import AppwriteRefused, refused_as

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
    """Return a file's content, all of it in memory: the SDK knows no other way."""
    return storage(client).get_file_download(*place)


def send(client: "Client", place: Place, name: str, content: bytes) -> None:
    from appwrite.input_file import InputFile

    storage(client).create_file(*place, InputFile.from_bytes(content, name))


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
