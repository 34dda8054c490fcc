import pytest

from kowai.errors import Corrupt, Encrypted
from kowai.loaders.epub import load
from tests.kowai.loaders.office_files import epub, packed


def test_chapters_are_read_in_their_order_as_pages_of_html() -> None:
    document = load(epub("<h1>One</h1><p>Otters swim.</p>", "<h1>Two</h1><p>They sleep.</p>"), "a.epub")
    assert document.text == "One\n\nOtters swim.\n\n\nTwo\n\nThey sleep."
    assert [document.text[heading.start :][:3] for heading in document.headings] == ["One", "Two"]
    assert (document.title, document.language) == ("Otters", "en")


def test_a_locked_or_damaged_book_says_so() -> None:
    with pytest.raises(Encrypted, match="digital rights"):
        load(epub("<p>x", **{"META-INF/rights.xml": "<x/>"}), "a.epub")
    with pytest.raises(Corrupt):
        load(packed({"mimetype": "application/epub+zip"}), "a.epub")
