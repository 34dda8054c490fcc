import pytest

from kowai.errors import Corrupt, DocumentTooLarge, EmptyDocument
from kowai.loaders import Limits
from kowai.loaders.pptx import load
from tests.kowai.loaders.office_files import A, packed, pptx, related, shape, slide

CELLS = "".join(f"<a:tc><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:tc>" for text in ("Year", "Days"))
TABLE = f"<p:graphicFrame><a:tbl><a:tr>{CELLS}</a:tr></a:tbl></p:graphicFrame>"


def test_each_slide_is_a_page_under_its_title() -> None:
    first = slide(shape("Body of one", "body") + shape("One", "title") + shape("7", "sldNum"))
    document = load(pptx(first, slide(TABLE + shape("Two", "ctrTitle"))), "a.pptx")
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "One\n\nBody of one",
        "Two\n\nYear | Days",
    ]
    assert [(heading.title, document.text[heading.start :][:3]) for heading in document.headings] == [
        ("One", "One"),
        ("Two", "Two"),
    ]
    assert document.title == "One"


def test_notes_and_charts_are_read() -> None:
    values = {"tx": "Sales", "cat": "Q1", "val": "10"}
    series = "".join(f"<{kind}><pt idx='0'><v>{value}</v></pt></{kind}>" for kind, value in values.items())
    links = related(chart="../charts/chart1.xml", notesSlide="../notesSlides/notes1.xml")
    frame = f'<p:graphicFrame {A}><x r:id="chart"/></p:graphicFrame>'
    data = pptx(
        slide(frame),
        **{
            "ppt__slides___rels__slide1.xml.rels": links,
            "ppt__charts__chart1.xml": f"<chart><ser>{series}</ser></chart>",
            "ppt__notesSlides__notes1.xml": slide(shape("Say hello", "body"), "notes"),
        },
    )
    assert load(data, "a.pptx").text == "Sales | Q1: 10\n\nNotes: Say hello"


def test_a_presentation_of_more_slides_than_allowed_or_none_is_refused() -> None:
    with pytest.raises(DocumentTooLarge, match="2 slides; at most 1"):
        load(pptx(slide(""), slide("")), "a.pptx", Limits(max_pages=1))
    with pytest.raises(EmptyDocument):
        load(pptx(), "a.pptx")
    with pytest.raises(Corrupt):
        load(packed({"ppt/presentation.xml": "<p"}), "a.pptx")
