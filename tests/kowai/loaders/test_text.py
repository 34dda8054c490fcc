import pytest

from kowai.loaders.text import load


def test_plain_text_keeps_every_character_of_the_file() -> None:
    source = "  Café \u00a0x\r\n\r\n\tend\n"
    assert load(source.encode(), "a.txt").text == source.replace("\r\n", "\n")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_plain_text_in_other_encodings_gives_the_same_characters(encoding: str) -> None:
    source = "Où est l'hôtel près de la forêt? Là-bas, à côté du café.\n"
    assert load(source.encode(encoding), "a.txt").text == source


def test_a_declared_charset_is_used() -> None:
    assert load("жук".encode("koi8-r"), "a.txt", charset="KOI8-R").text == "жук"
