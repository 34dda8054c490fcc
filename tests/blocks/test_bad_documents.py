"""Documents made to hurt their reader are refused with a code and a sentence, and the next one is read."""

import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.reading import Reader
from kowai.errors import DocumentError, DocumentTooLarge, SourceChanged
from kowai.sniffing import OLE
from kowai.sources import read_bytes
from tests.kowai.loaders.office_files import W, docx, packed, paragraph

SHEET = '<worksheet><sheetData><row r="1"><c r="A1"/></row><row r="1048576"><c r="XFD1048576"/></row></sheetData>'
CONTENTS = {
    "[Content_Types].xml": "<Types/>",
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="A" sheetId="1" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="a" Target="worksheets/a.xml"/></Relationships>',
    "xl/worksheets/a.xml": f"{SHEET}</worksheet>",
}


def pdf(*objects: bytes) -> bytes:
    numbered = b"".join(b"%d 0 obj%s endobj\n" % (number, written) for number, written in enumerate(objects, 1))
    return b"%PDF-1.7\n" + numbered + b"trailer<</Root 1 0 R/Size 99>>"


def stream(content: bytes) -> bytes:
    return b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)


ROOT = b"<</Type/Catalog/Pages 2 0 R>>"
FONT = b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]>>"
CID = (
    b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>"
)
RESOURCES = b"/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>"
UNMAPPED = pdf(
    ROOT,
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R" + RESOURCES + b">>",
    stream(b"BT /F1 24 Tf 72 700 Td <000300040005000600070008> Tj ET"),
    FONT,
    CID,
)
THOUSANDS = pdf(
    ROOT, b"<</Type/Pages/Count 100000/Kids[" + b"3 0 R " * 100_000 + b"]>>", b"<</Type/Page/Parent 2 0 R>>"
)


def squeezed_pdf(megabytes: int) -> bytes:
    """Write a PDF of one page whose content unpacks to so many megabytes."""
    squeeze = zlib.compressobj()
    words = squeeze.compress(b"BT /F1 24 Tf 72 700 Td (Otters) Tj ET\n")
    padding = b"% otter\n" * 125_000
    content = words + b"".join(squeeze.compress(padding) for _ in range(megabytes)) + squeeze.flush()
    packed_stream = b"<</Filter/FlateDecode" + stream(content).removeprefix(b"<<")
    page = b"<</Type/Page/Parent 2 0 R" + RESOURCES + b">>"
    return pdf(ROOT, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, packed_stream, FONT, CID)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
DEEP = "<w:sdt>" * 50_000 + "</w:sdt>" * 50_000


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader(children=1, seconds=60)
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("name", "data", "codes"),
    [
        ("bomb.docx", packed({"word/document.xml": b" " * 60_000_000}), {"bomb"}),
        ("bomb.xlsx", packed({"xl/workbook.xml": "<x/>", "xl/worksheets/a.xml": b" " * 60_000_000}), {"bomb"}),
        ("laughs.docx", packed({"word/document.xml": f"{ENTITIES}<w:document {W}>&b;</w:document>"}), {"bomb"}),
        ("deep.docx", docx(DEEP), {"corrupt", "document_too_large"}),
        ("sparse.xlsx", packed(CONTENTS), {"corrupt", "reader_crashed", "empty", "document_too_large"}),
        ("deep.json", b"[" * 1_000_000, {"corrupt"}),
        ("locked.xlsx", OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), {"encrypted"}),
        ("unmapped.pdf", UNMAPPED, {"needs_ocr"}),
        ("thousands.pdf", THOUSANDS, {"document_too_large"}),
        ("nested.zip", packed({"a.zip": b"PK"}), {"unknown_format"}),
        ("null.txt", bytes(1000), {"not_text"}),
    ],
)
async def test_a_hostile_document_dies_with_its_cause_and_the_next_is_read(
    reader: Reader, name: str, data: bytes, codes: set[str]
) -> None:
    with pytest.raises(DocumentError, match=name.replace(".", r"\.")) as refused:
        await reader.read(data, name)
    assert refused.value.code in codes
    assert (await reader.read(docx(paragraph("Otters.")), "good.docx")).text == "Otters."


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not show a process's memory")
async def test_a_page_that_unpacks_to_more_than_the_memory_dies_and_leaves_its_parents_memory_flat(
    reader: Reader,
) -> None:
    bomb = squeezed_pdf(megabytes=700)
    assert len(bomb) < 4_000_000
    await reader.read(docx(paragraph("Otters.")), "good.docx")
    before = resident()
    with pytest.raises(DocumentError, match=r"bomb\.pdf .*memory") as refused:
        await reader.read(bomb, "bomb.pdf")
    assert refused.value.code in {"reader_crashed", "document_too_large", "corrupt"}
    assert resident() - before < 32_000_000
    assert (await reader.read(docx(paragraph("Otters.")), "good.docx")).text == "Otters."


async def test_null_bytes_in_a_text_are_dropped_and_every_script_is_kept(reader: Reader) -> None:
    words = "שלום עולם مرحبا بالعالم 漢字かな交じり文 🦦"
    assert (await reader.read(f"a\0b {words}".encode(), "a.txt")).text == f"ab {words}"
    assert (await reader.read(docx(paragraph(words)), "a.docx")).text == words
    assert (await reader.read(f"name\n{words}".encode(), "a.csv")).text == f"name\n{words}"


def test_a_file_of_500_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(DocumentTooLarge, match="larger than the 100 MB"):
        read_bytes(str(path), 100_000_000)


def read_often(path: str) -> None:
    for _ in range(100):
        read_bytes(path, 1_000_000_000)


def test_a_file_that_is_written_while_it_is_read_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(bytes(40_000_000))
    stop = threading.Event()

    def write() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"x")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceChanged, match="changed while it was read"):
            read_often(str(path))
    finally:
        stop.set()
        writer.join()
