import pytest

from kowai.errors import Corrupt, Encrypted
from kowai.loaders.opendocument import load
from tests.kowai.loaders.office_files import opendocument, packed

BODY = """<text:h text:outline-level="2">Leave</text:h>
<text:p>You have<text:s text:c="2"/>30 <text:span>days</text:span>.
</text:p><text:list><text:list-item><text:p>one</text:p></text:list-item><text:list-item><text:p>two</text:p>
</text:list-item></text:list><table:table><table:table-row><table:table-cell><text:p>Year</text:p></table:table-cell>
<table:table-cell><text:p>Days</text:p></table:table-cell></table:table-row></table:table>
<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"""
SLIDES = """<draw:page>
<draw:frame presentation:class="title"><draw:text-box><text:p>One</text:p></draw:text-box></draw:frame>
<draw:frame><draw:text-box><text:p>Body</text:p></draw:text-box></draw:frame></draw:page>
<draw:page><draw:frame><draw:text-box><text:p>Second</text:p></draw:text-box></draw:frame></draw:page>"""


def test_a_text_keeps_its_headings_lists_and_tables_and_drops_what_was_deleted() -> None:
    document = load(opendocument(BODY), "a.odt")
    assert document.text == "Leave\n\nYou have 30 days.\n\n- one\n- two\n\nYear | Days"
    assert [(heading.level, heading.title, heading.start) for heading in document.headings] == [(2, "Leave", 0)]


def test_each_slide_of_a_presentation_is_a_page() -> None:
    document = load(opendocument(SLIDES, "presentation"), "a.odp")
    assert [document.text[page.start : page.end] for page in document.pages] == ["One\n\nBody", "Second"]
    assert document.media_type.endswith("presentation")


def test_a_locked_or_damaged_file_says_so() -> None:
    with pytest.raises(Encrypted):
        load(opendocument(BODY, **{"META-INF/manifest.xml": "<manifest:encryption-data/>"}), "a.odt")
    with pytest.raises(Corrupt):
        load(packed({"content.xml": "<office"}), "a.odt")
    with pytest.raises(Corrupt):
        load(packed({"x": ""}), "a.odt")
