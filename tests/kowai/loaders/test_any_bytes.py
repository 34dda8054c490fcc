"""Whatever a file holds, a loader gives a document or says what is wrong with it."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kowai.errors import DocumentError
from kowai.loaders import loaders
from kowai.reading import read
from kowai.types import LoadedDocument
from tests.kowai.loaders.office_files import docx, epub, opendocument, packed, paragraph, pptx, shape, slide

NAMES = [f"a{sorted(loader.suffixes)[0]}" for name, loader in loaders().items() if name != "legacy"]
FILES = {
    "a.docx": docx(paragraph("Text") + "<w:tbl><w:tr><w:tc/></w:tr></w:tbl>"),
    "a.pptx": pptx(slide(shape("One", "title") + shape("Body", "body"))),
    "a.odt": opendocument("<text:h>One</text:h><text:p>Text</text:p>"),
    "a.epub": epub("<h1>One</h1><p>Text"),
}
BYTES = st.binary(max_size=600) | st.text(max_size=300).map(str.encode)


def outcome(data: bytes, name: str) -> LoadedDocument | DocumentError:
    try:
        document = read(data, name)
    except DocumentError as error:
        return error
    assert "\0" not in document.text
    assert all(0 <= heading.start <= len(document.text) for heading in document.headings)
    return document


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(data=BYTES)
def test_any_bytes_give_a_document_or_a_typed_error(name: str, data: bytes) -> None:
    assert outcome(data, name)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=50)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_file_with_one_wrong_byte_gives_a_document_or_a_typed_error(name: str, place: int, byte: int) -> None:
    data = bytearray(FILES[name])
    data[place % len(data)] = byte
    assert outcome(bytes(data), name)


PARTS = {"a.docx": "word/document.xml", "a.pptx": "ppt/slides/slide1.xml", "a.odt": "content.xml"}
TAGS = [
    "w:p",
    "w:t",
    "w:tbl",
    "w:tr",
    "w:tc",
    "w:numPr",
    "a:t",
    "p:sp",
    "p:graphicFrame",
    "text:p",
    "text:h",
    "text:list",
]


@st.composite
def soups(draw: st.DrawFn) -> str:
    """Draw well-formed XML of elements that mean something to one format or another, in any order."""
    name = draw(st.sampled_from(TAGS))
    inner = "" if draw(st.booleans()) else "".join(draw(st.lists(soups(), max_size=3)))
    return f"<{name}>x{inner}</{name}>"


@pytest.mark.parametrize("name", PARTS)
@settings(max_examples=30)
@given(soup=soups())
def test_any_nesting_of_elements_gives_a_document_or_a_typed_error(name: str, soup: str) -> None:
    with zipfile.ZipFile(io.BytesIO(FILES[name])) as archive:
        parts: dict[str, str | bytes] = {part: archive.read(part) for part in archive.namelist()}
    whole = bytes(parts[PARTS[name]])
    place = whole.rindex(b"</", 0, whole.rindex(b"</"))
    parts[PARTS[name]] = whole[:place] + soup.encode() + whole[place:]
    assert outcome(packed(parts), name)
