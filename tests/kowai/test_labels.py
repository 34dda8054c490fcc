"""A document's content type and language are told, or detected, or unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.labels import CONTENT_TYPES, Handling, handling_of, labelled, language_of
from kowai.types import LoadedDocument


def text(words: str, media_type: str = "text/plain", **more: object) -> LoadedDocument:
    return LoadedDocument.model_validate({"text": words, "media_type": media_type, **more})


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("The contract ends when both sides have signed the new one.", "en"),
        ("Der Vertrag endet, sobald beide Seiten den neuen unterschrieben haben.", "de"),
        ("Le contrat prend fin dès que les deux parties ont signé le nouveau.", "fr"),
        ("契約は双方が新しいものに署名した時点で終了します。", "ja"),
        ("合同在双方签署新合同后终止。", "zh"),
        ("ينتهي العقد عندما يوقع الطرفان على العقد الجديد.", "ar"),
        ("החוזה מסתיים כאשר שני הצדדים חתמו על החוזה החדש.", "he"),
        ("1234 5678 -- 42 %", None),
        ("", None),
    ],
)
def test_whole_sentences_tell_their_language_and_numbers_do_not(words: str, language: str | None) -> None:
    assert language_of(words) == language


INVOICE = "Invoice 17. The supplier grants the customer a payment deadline of 30 days; taxes are payable by the client."
MANUAL = "Install the package, then configure the server: the parameter `port` has a default. See the API endpoint."
CHAT = "Ann: Where is my parcel?\nBob: On its way.\nAnn: Since when?\nBob: Since Monday."


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (text(INVOICE), "business"),
        (text(MANUAL), "documentation"),
        (text(CHAT), "conversation"),
        (text("It was a dark night and the rain fell."), "general"),
        (text("# Notes\n\nIt was a dark night.", "text/markdown"), "documentation"),
        (text("x = 1", content_type="code"), "code"),
    ],
)
def test_format_and_words_tell_the_content_type(document: LoadedDocument, kind: str) -> None:
    assert labelled(document, Handling()).content_type == kind


def test_a_record_outranks_its_source_and_both_what_is_detected() -> None:
    told = Handling(content_type="code", language="de")
    assert labelled(text(INVOICE), told).model_dump(include={"content_type", "language"}) == {
        "content_type": "code",
        "language": "de",
    }
    record = text(INVOICE, metadata={"content_type": "data", "language": "fr"})
    assert labelled(record, told).content_type == "data"
    assert labelled(record, told).language == "fr"
    assert labelled(text(INVOICE, metadata={"content_type": ["odd"], "language": 7}), Handling()).language == "en"


def test_code_and_data_have_no_language_unless_told() -> None:
    assert labelled(text(INVOICE, content_type="data"), Handling()).language is None


def test_handling_is_read_from_an_items_details() -> None:
    assert handling_of({"path": "x", "chunk_size": 500}) == Handling(chunk_size=500)


@given(st.text(max_size=300))
def test_any_text_gets_a_known_content_type(words: str) -> None:
    assert labelled(text(words), Handling()).content_type in CONTENT_TYPES
