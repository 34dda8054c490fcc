import pytest

from kowai.loaders.delimited import load


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n", "a | b"),
        ("a;b\n1,5;2,5\n3,5;4,5\n", "a | b"),
        ("a\tb\n1\t2", "a | b"),
        ("a|b\n1|2", "a | b"),
        ('"last, first";"b"\nx;y', "last, first | b"),
        ("one\ntwo", None),
    ],
)
def test_the_columns_are_named_whatever_divides_them(text: str, columns: str | None) -> None:
    document = load(text.encode(), "a.csv")
    assert document.text == text
    assert [heading.title for heading in document.headings] == ([columns] if columns else [])
