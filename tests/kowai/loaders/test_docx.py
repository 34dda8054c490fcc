import pytest

from kowai.errors import Bomb, Corrupt, DocumentTooLarge
from kowai.loaders import Limits
from kowai.loaders.docx import load
from tests.kowai.loaders.office_files import W, core, docx, packed, paragraph

STYLES = f"""<w:styles {W}>
<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="H1"/>
<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
</w:styles>"""
LISTS = f"""<w:numbering {W}>
<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1%2)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="*"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>
</w:numbering>"""


def item(text: str, number: int, depth: int = 0) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>')


def read(body: str, **parts: str) -> str:
    return load(docx(body, **parts), "a.docx").text


def test_headings_come_from_styles_and_those_they_are_based_on() -> None:
    body = (
        paragraph("Leave", '<w:pStyle w:val="H1"/>') + paragraph("Days", '<w:pStyle w:val="Mine"/>') + paragraph("30.")
    )
    document = load(docx(body, styles=STYLES), "a.docx")
    assert document.text == "Leave\n\n\nDays\n\n30."
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Leave"), (2, "Days")]
    assert [document.text[heading.start :][:4] for heading in document.headings] == ["Leav", "Days"]
    assert document.title == "Leave"


def test_lists_are_numbered_as_word_numbers_them() -> None:
    body = item("one", 1) + item("sub", 1, 1) + item("sub", 1, 1) + item("two", 1) + item("dot", 2) + paragraph("end")
    assert read(body, numbering=LISTS) == "1. one\n1a) sub\n1b) sub\n2. two\n- dot\n\nend"


def test_a_table_is_a_line_a_row() -> None:
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("Year", "Days"))
    assert read(f"<w:tbl><w:tr>{cells}</w:tr><w:sdt><w:tr>{cells}</w:tr></w:sdt></w:tbl>") == "Year | Days\nYear | Days"


def test_deleted_text_is_gone_and_inserted_text_is_there() -> None:
    runs = "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
    assert read(f"<w:p>{runs}<w:r><w:tab/><w:t>x</w:t><w:br/><w:t>y</w:t></w:r></w:p>") == "new x\ny"


def test_text_boxes_are_read_once_and_notes_at_the_end() -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    drawing = f"<w:r><AlternateContent><Choice>{box}</Choice><Fallback>{box}</Fallback></AlternateContent></w:r>"
    note = f'<w:footnotes {W}><w:footnote w:id="2">{paragraph("noted")}</w:footnote></w:footnotes>'
    mark = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    body = f"<w:p><w:r><w:t>text</w:t></w:r>{mark}{drawing}</w:p>"
    assert read(body, footnotes=note) == "text [2]\n\nboxed\n\n[2] noted"


def test_right_to_left_and_cjk_text_is_kept() -> None:
    assert read(paragraph("שלום عالم 漢字")) == "שלום عالم 漢字"


def test_the_title_comes_from_the_properties() -> None:
    data = packed(
        {
            "word/document.xml": f"<w:document {W}><w:body>{paragraph('x')}</w:body></w:document>",
            "docProps/core.xml": core("T"),
        }
    )
    assert load(data, "a.docx").title == "T"


def test_entities_are_refused_as_bombs() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    data = packed({"word/document.xml": f"{bomb}<w:document {W}><w:body><w:p>&b;</w:p></w:body></w:document>"})
    with pytest.raises(Bomb, match="entities"):
        load(data, "a.docx")


def test_a_part_that_unpacks_to_a_multiple_of_the_file_is_a_bomb() -> None:
    data = packed({"word/document.xml": b" " * 60_000_000})
    assert len(data) < 100_000
    with pytest.raises(Bomb, match="200 times"):
        load(data, "a.docx")
    with pytest.raises(DocumentTooLarge):
        load(data, "a.docx", Limits(max_bytes=1_000_000))


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04 no", packed({"word/other.xml": "<x/>"}), packed({"word/document.xml": "<x"})]
)
def test_a_damaged_file_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"a\.docx is damaged"):
        load(data, "a.docx")
