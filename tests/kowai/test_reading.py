import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import DocumentError, DocumentTooLarge, EmptyDocument
from kowai.loaders import Limits, loader_for, loaders, suffixes
from kowai.reading import read


def test_every_loader_reads_suffixes_and_media_types_that_no_other_reads() -> None:
    for kind in ("suffixes", "media_types"):
        known = [name for loader in loaders().values() for name in getattr(loader, kind)]
        assert len(known) == len(set(known))
        assert all(name == name.lower() for name in known)
    assert {".pdf", ".html", ".md", ".txt"} <= suffixes()
    assert loader_for("text/markdown") == loaders()["markdown"]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
@pytest.mark.parametrize("data", [b" \n\t ", b"\xef\xbb\xbf", "\u00a0\n".encode("utf-16")])
def test_a_document_of_white_space_is_empty(data: bytes, name: str) -> None:
    with pytest.raises(EmptyDocument, match="holds no text"):
        read(data, name)


def test_a_document_beyond_the_limit_is_too_large() -> None:
    with pytest.raises(DocumentTooLarge, match=r"a\.txt is larger than the 0\.001 MB"):
        read(b"x" * 1001, "a.txt", limits=Limits(max_bytes=1000))


BYTES = st.binary(max_size=500) | st.text(max_size=500).map(str.encode)


@given(BYTES, st.sampled_from(["a.txt", "a.md", "a.html", "a"]))
def test_any_bytes_give_storable_text_or_a_document_error(data: bytes, name: str) -> None:
    try:
        document = read(data, name)
    except DocumentError:
        return
    assert document.text.encode().count(0) == 0
    assert document.text.strip()
