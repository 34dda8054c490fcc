import codecs
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.decoding import canonical, decode, known
from kowai.errors import NotText

FRENCH = "Le café est très près de l'hôtel, où l'été dernier nous avons mangé une crème brûlée.\n"
RUSSIAN = "Привет, как дела? Это простой текст на русском языке для проверки.\n"
CHINESE = "这是一个中文文本，用于测试编码检测。\n"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_utf8_text_decodes_to_its_own_characters_but_for_carriage_returns(text: str) -> None:
    assert decode(text.encode(), "a.txt", "utf-8") == text.replace("\r\n", "\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding_and_is_no_character(encoding: str) -> None:
    assert decode(FRENCH.encode(encoding), "a.txt", "cp1251") == FRENCH


@pytest.mark.parametrize(
    ("text", "encoding"), [(FRENCH, "latin-1"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (CHINESE, "gb18030")]
)
@pytest.mark.parametrize("copies", [1, 3000])
def test_legacy_encodings_are_recognised_in_short_and_long_files(text: str, encoding: str, copies: int) -> None:
    assert decode((text * copies).encode(encoding), "a.txt") == text * copies


def test_a_short_word_in_latin_1_is_read_as_western_european() -> None:
    assert decode("Café".encode("latin-1"), "a.txt") == "Café"


def test_a_stray_byte_does_not_turn_utf8_into_another_script() -> None:
    assert decode("héé".encode() * 100 + b"\xff", "a.txt") == "héé" * 100 + "\ufffd"


def test_random_bytes_are_no_text() -> None:
    with pytest.raises(NotText, match=r"garbage\.txt"):
        decode(os.urandom(20_000), "garbage.txt")


def test_a_file_cut_within_a_character_of_utf16_says_that_it_is_damaged() -> None:
    with pytest.raises(NotText, match="damaged"):
        decode(codecs.BOM_UTF16_LE + "abc".encode("utf-16-le") + b"x", "a.txt")


def test_nul_and_lone_surrogates_are_dropped_because_postgresql_cannot_store_them() -> None:
    assert canonical("a\0b\ud800c\r\nd\re") == "abc\nd\re"


def test_a_single_nul_in_a_short_text_is_dropped_rather_than_refused() -> None:
    assert decode(b"hello\0world", "a.txt") == "helloworld"


def test_text_is_not_normalised() -> None:
    decomposed = "e\u0301 \ufb01"
    assert decode(decomposed.encode(), "a.txt") == decomposed


@pytest.mark.parametrize("charset", [None, "", "klingon", "rot13", "zlib", "unicode_escape", "punycode", "a\0b"])
def test_only_encodings_of_text_can_be_declared(charset: str | None) -> None:
    assert known(charset) is None


def test_latin_1_is_declared_by_pages_that_mean_windows_1252() -> None:
    assert decode(b"\x93quoted\x94", "a.html", "ISO-8859-1") == "\u201cquoted\u201d"
