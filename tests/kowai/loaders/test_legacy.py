from importlib.metadata import distribution

import pytest

from kowai.errors import Corrupt, DocumentError, Encrypted
from kowai.loaders.legacy import load
from kowai.sniffing import OLE, choose

RTF = rb"{\rtf1\ansi {\b Leave}\par You have 30 days.\par Gr\'fc\'dfe}"


def test_rich_text_is_read() -> None:
    document = load(RTF, "a.rtf")
    assert "You have 30 days." in document.text
    assert "Grüße" in document.text
    assert document.media_type == "application/rtf"


@pytest.mark.parametrize("name", ["a.doc", "a.ppt", "a.msg"])
def test_a_damaged_old_document_says_so(name: str) -> None:
    with pytest.raises(Corrupt, match="is damaged"):
        load(OLE + bytes(2000), name)


def test_an_office_document_with_a_password_is_encrypted() -> None:
    with pytest.raises(Encrypted):
        choose(OLE + bytes(500) + "EncryptedPackage".encode("utf-16-le"), "a.docx")


def test_the_reader_of_old_documents_is_the_version_whose_licence_is_known() -> None:
    package = distribution("kreuzberg")
    assert (package.version, package.metadata["License"]) == ("4.10.4", "MIT")
    assert issubclass(Corrupt, DocumentError)
