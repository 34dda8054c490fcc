from email.message import EmailMessage

import pytest

from kowai.errors import NotText
from kowai.loaders.email import load


def message(**headers: str) -> EmailMessage:
    letter = EmailMessage()
    for name, value in headers.items():
        letter[name] = value
    return letter


def test_a_letter_says_who_wrote_what_to_whom_and_what_was_attached() -> None:
    letter = message(From="Ann <ann@example.org>", To="bob@example.org", Subject="Grüße")
    letter.set_content("Hello Bob,\n\nsee the plan.")
    letter.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Plän.pdf")
    document = load(letter.as_bytes(), "a.eml")
    assert document.text == (
        "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: Grüße\nAttachment: Plän.pdf (application/pdf)\n\n"
        "Hello Bob,\n\nsee the plan."
    )
    assert document.title == "Grüße"
    assert document.content_type == "conversation"
    assert document.metadata["attachments"] == ["Plän.pdf (application/pdf)"]


def test_a_letter_of_html_only_is_read_as_its_reader_sees_it() -> None:
    letter = message(Subject="x")
    letter.set_content("<p>Hello <b>Bob</b></p><script>x</script>", subtype="html")
    assert load(letter.as_bytes(), "a.eml").text.endswith("\n\nHello Bob")


def test_binary_data_is_no_letter() -> None:
    with pytest.raises(NotText):
        load(bytes(range(256)) * 4, "a.eml")
