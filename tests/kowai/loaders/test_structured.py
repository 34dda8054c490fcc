import pytest

from kowai.errors import Corrupt
from kowai.loaders.structured import load


def test_every_value_is_a_line_with_its_path() -> None:
    document = load(
        b'{"title": "T", "users": [{"name": "Ann", "age": 7}, {"name": ""}], "ok": true, "no": null}', "a.json"
    )
    assert document.text == "title: T\nusers[0].name: Ann\nusers[0].age: 7\nok: true"
    assert [(heading.title, document.text[heading.start :][:2]) for heading in document.headings] == [
        ("title", "ti"),
        ("users", "us"),
        ("ok", "ok"),
    ]
    assert document.title == "T"


@pytest.mark.parametrize("data", [b"{", b"nonsense", b"[" * 200_000])
def test_what_is_no_json_says_so(data: bytes) -> None:
    with pytest.raises(Corrupt, match="not valid JSON"):
        load(data, "a.json")
