"""What a file really is.

A suffix is a promise. A signature that contradicts it is a mismatch and the file is refused: a login page saved as
report.pdf is not the report. Formats without a signature (text, Markdown, CSV ...) are told apart by suffix or declared
media type alone; text that begins as an HTML page and promises no more than plain text is read as HTML. Text with a
suffix nobody knows is plain text.
"""

import io
import re
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import NamedTuple

from kowai.decoding import is_binary
from kowai.errors import EmptyDocument, Encrypted, FormatMismatch, UnknownFormat
from kowai.loaders import Loader, loader_for, loaders

HEAD_BYTES = 1024


class Kind(NamedTuple):
    media_type: str
    noun: str


OFFICE = "application/vnd.openxmlformats-officedocument"
PDF = Kind("application/pdf", "a PDF")
HTML = Kind("text/html", "an HTML page")
ARCHIVE = Kind("application/zip", "a ZIP archive")
SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", Kind("image/png", "a PNG image")),
    (0, b"\xff\xd8\xff", Kind("image/jpeg", "a JPEG image")),
    (0, b"GIF8", Kind("image/gif", "a GIF image")),
    (0, b"II*\0", Kind("image/tiff", "a TIFF image")),
    (0, b"MM\0*", Kind("image/tiff", "a TIFF image")),
    (8, b"WEBP", Kind("image/webp", "a WebP image")),
    (0, b"{\\rtf", Kind("application/rtf", "a rich text document")),
    (0, b"\x1f\x8b\x08", Kind("application/gzip", "a gzip archive")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("application/x-7z-compressed", "a 7z archive")),
    (0, b"Rar!\x1a\x07", Kind("application/vnd.rar", "a RAR archive")),
    (0, b"BZh9", Kind("application/x-bzip2", "a bzip2 archive")),
    (0, b"\xfd7zXZ\0", Kind("application/x-xz", "an xz archive")),
    (0, b"\x7fELF", Kind("application/x-elf", "a program")),
    (0, b"MZ\x90\0", Kind("application/x-msdownload", "a program")),
    (0, b"SQLite format 3\0", Kind("application/vnd.sqlite3", "a SQLite database")),
    (4, b"ftyp", Kind("video/mp4", "a video")),
    (257, b"ustar", Kind("application/x-tar", "a TAR archive")),
    (0, b"OggS", Kind("audio/ogg", "a sound recording")),
    (0, b"ID3", Kind("audio/mpeg", "a sound recording")),
)
PARTS = {
    "word/": Kind(f"{OFFICE}.wordprocessingml.document", "a Word document"),
    "ppt/": Kind(f"{OFFICE}.presentationml.presentation", "a PowerPoint presentation"),
    "xl/workbook.bin": Kind("application/vnd.ms-excel.12", "an Excel workbook"),
    "xl/": Kind(f"{OFFICE}.spreadsheetml.sheet", "an Excel workbook"),
}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LOCKED = "EncryptedPackage"
STREAMS = {
    "__properties_version1.0": Kind("application/vnd.ms-outlook", "an Outlook message"),
    "PowerPoint Document": Kind("application/vnd.ms-powerpoint", "an old PowerPoint presentation"),
    "WordDocument": Kind("application/msword", "an old Word document"),
    "Workbook": Kind("application/vnd.ms-excel", "an old Excel workbook"),
    "Book": Kind("application/vnd.ms-excel", "an old Excel workbook"),
}
OLD_OFFICE = Kind("application/x-ole-storage", "an old Office document")
OPEN_DOCUMENTS = {
    "application/epub+zip": "an EPUB book",
    "application/vnd.oasis.opendocument.text": "an OpenDocument text",
    "application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
    "application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
}
KINDS = (
    PDF,
    *(kind for _, _, kind in SIGNATURES),
    *PARTS.values(),
    *STREAMS.values(),
    *(Kind(*item) for item in OPEN_DOCUMENTS.items()),
)
SIGNED = frozenset(kind.media_type for kind in KINDS)
_PAGE = re.compile(rb"(?is)(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype\s+html|<html[\s>])")


def choose(data: bytes, name: str, media_type: str | None = None) -> Loader:
    """Return the loader for `data`. Raises EmptyDocument, FormatMismatch or UnknownFormat.

    `media_type` is what a server declared; it outranks the suffix, for URLs seldom have an honest one.
    """
    if not data:
        raise EmptyDocument(f"{name} is empty.")
    promised = _promised(name, media_type)
    if data.startswith(OLE) and LOCKED.encode("utf-16-le") in data:
        raise Encrypted(f"{name} is locked by a password: save it without one.")
    kind = kind_of(data)
    if kind is None:
        return _unsigned(data, name, promised)
    if promised is not None and kind.media_type in promised.media_types:
        return promised
    if promised is not None:
        raise FormatMismatch(f"{name} holds {kind.noun}, not {promised.noun}: give it the suffix of what it holds.")
    loader = loader_for(kind.media_type)
    if loader is None:
        raise UnknownFormat(f"{name} is {kind.noun}, which KowAI cannot read.")
    return loader


def kind_of(data: bytes) -> Kind | None:
    """Return the format whose signature `data` bears, or None: text, or nothing known."""
    head = data[:HEAD_BYTES]
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"%PDF-") or (b"%PDF-" in head and is_binary(head)):
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_archive(data)
    if head.startswith(OLE):
        return next((kind for name, kind in STREAMS.items() if name.encode("utf-16-le") in data), OLD_OFFICE)
    found = ((mark, kind) for offset, mark, kind in SIGNATURES if head.startswith(mark, offset))
    return next((kind for mark, kind in found if not mark.isalnum() or is_binary(head)), None)  # "ID3 tags are" is text


def _promised(name: str, media_type: str | None) -> Loader | None:
    declared = loader_for((media_type or "").partition(";")[0].strip().lower())
    if declared is not None and "text/plain" not in declared.media_types:  # servers say text/plain for want of better
        return declared
    suffix = PurePosixPath(name).suffix.lower()
    return next((loader for loader in loaders().values() if suffix in loader.suffixes), declared)


def _unsigned(data: bytes, name: str, promised: Loader | None) -> Loader:
    plain = loaders()["text"]
    if promised is None and is_binary(data):
        raise UnknownFormat(f"{name} is in no format KowAI can read.")
    if promised is None or promised is plain:
        return loaders()["html"] if _PAGE.match(data[:HEAD_BYTES]) else plain
    if PDF.media_type in promised.media_types and b"%PDF-" in data[:HEAD_BYTES]:
        return promised
    if promised.media_types & SIGNED:
        raise FormatMismatch(f"{name} is not {promised.noun}, whatever its name says: export or download it again.")
    return promised


def _inside_archive(data: bytes) -> Kind:
    """Tell Office documents and books from other ZIP archives by the parts they are made of."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            declared = archive.open("mimetype").read(HEAD_BYTES) if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, zlib.error):
        return ARCHIVE
    media_type = declared.decode("ascii", "replace").strip()
    if media_type in OPEN_DOCUMENTS:
        return Kind(media_type, OPEN_DOCUMENTS[media_type])
    return next((kind for part, kind in PARTS.items() if any(name.startswith(part) for name in names)), ARCHIVE)
