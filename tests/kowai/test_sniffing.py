import io
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import DocumentError, EmptyDocument, FormatMismatch, UnknownFormat
from kowai.loaders import loaders
from kowai.sniffing import choose, kind_of

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def chosen(data: bytes, name: str, media_type: str | None = None) -> str:
    loader = choose(data, name, media_type)
    return next(key for key, value in loaders().items() if value == loader)


def archive(*names: str, mimetype: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name in names:
            zipped.writestr(zipfile.ZipInfo(name), mimetype)  # without the hour, which would change the test's name
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "loader"),
    [
        (PDF, "a.pdf", "pdf"),
        (PDF, "a.PDF", "pdf"),
        (b"\n\n" + PDF, "a.pdf", "pdf"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PDF, "a.pdf", "pdf"),
        (PDF, "no suffix", "pdf"),
        (b"# Title", "a.md", "markdown"),
        (b"<p>hi", "a.htm", "html"),
        (b"text", "a.txt", "text"),
        (b"text", "README", "text"),
        (b"a: 1", "a.yaml", "code"),
        (b"<!-- x -->\n<!DOCTYPE html><p>hi", "a.txt", "html"),
        (b"\xef\xbb\xbf<html lang=en>", "page", "html"),
        (b"<html> is an element", "a.md", "markdown"),
        (b"The header %PDF- begins a PDF.", "a.txt", "text"),
        (b"ID3 tags are metadata.", "a.txt", "text"),
        ("text".encode("utf-16"), "a.txt", "text"),
    ],
)
def test_a_file_gets_the_loader_of_what_it_holds(data: bytes, name: str, loader: str) -> None:
    assert chosen(data, name) == loader


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (PDF, "a.txt"),
        (PDF, "a.html"),
        (PNG, "a.pdf"),
        (PNG, "a.txt"),
        (archive("x"), "a.md"),
        (b"Please log in", "report.pdf"),
        (b"<!doctype html><p>Please log in", "report.pdf"),
        (os.urandom(999), "report.pdf"),
    ],
)
def test_a_file_that_is_not_what_its_suffix_says_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(FormatMismatch, match=name.replace(".", r"\.")):
        choose(data, name)


@pytest.mark.parametrize(
    ("data", "noun"),
    [
        (PNG, "a PNG image"),
        (archive("x"), "a ZIP archive"),
        (archive("xl/workbook.xml"), "an Excel workbook"),
        (archive("mimetype", mimetype="application/epub+zip"), "an EPUB book"),
        (b"PK\x03\x04 not really", "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "an old Office document"),
        (b"{\\rtf1 hello}", "a rich text document"),
    ],
)
def test_formats_that_cannot_be_read_are_named(data: bytes, noun: str) -> None:
    kind = kind_of(data)
    assert kind is not None
    assert kind.noun == noun


@pytest.mark.parametrize("name", ["photo.png", "photo"])
def test_an_image_is_an_unknown_format(name: str) -> None:
    with pytest.raises(UnknownFormat, match="a PNG image"):
        choose(PNG, name)


@pytest.mark.parametrize("name", ["garbage", "garbage.xyz"])
def test_binary_garbage_is_an_unknown_format(name: str) -> None:
    with pytest.raises(UnknownFormat, match="no format"):
        choose(os.urandom(5000), name)


def test_an_empty_file_is_empty_whatever_its_suffix() -> None:
    with pytest.raises(EmptyDocument, match=r"a\.pdf is empty"):
        choose(b"", "a.pdf")


def test_a_servers_media_type_outranks_the_suffix_unless_it_is_text_or_unknown() -> None:
    assert chosen(b"<p>hi", "index.md", "text/html; charset=utf-8") == "html"
    assert chosen(b"# hi", "readme.md", "text/plain") == "markdown"
    assert chosen(b"# hi", "readme.md", "application/octet-stream") == "markdown"
    assert chosen(b"hi", "readme", "text/plain") == "text"
    with pytest.raises(FormatMismatch):
        choose(b"Please log in", "download", "application/pdf")


@given(st.binary(max_size=2000), st.sampled_from(["a.pdf", "a.txt", "a.md", "a.html", "a", "a.docx"]))
def test_any_bytes_get_a_loader_or_a_document_error(data: bytes, name: str) -> None:
    try:
        outcome = choose(data, name).noun
    except DocumentError as error:
        outcome = error.sentence
    assert outcome
