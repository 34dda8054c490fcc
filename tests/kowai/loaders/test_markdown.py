from hypothesis import given
from hypothesis import strategies as st

from kowai.loaders.markdown import load
from kowai.types import Heading

GUIDE = """---
title: "The Guide"
# a comment of YAML, no heading
---
# Install

Setup *now*
===========

```bash
# a comment of the shell, no heading
```

~~~~
# neither is this
~~~
# nor this
~~~~

## With [pip](https://pypi.org) and `uv` ##

- item
---
    # indented code
#hashtag
"""


def test_the_text_is_the_source_so_that_offsets_count_the_files_characters() -> None:
    assert load(GUIDE.encode(), "guide.md").text == GUIDE


def test_headings_are_found_outside_code_and_front_matter() -> None:
    headings = load(GUIDE.encode(), "guide.md").headings
    assert [(heading.level, heading.title) for heading in headings] == [
        (1, "Install"),
        (1, "Setup now"),
        (2, "With pip and uv"),
    ]
    assert [GUIDE[heading.start :].split("\n")[0] for heading in headings] == [
        "# Install",
        "Setup *now*",
        "## With [pip](https://pypi.org) and `uv` ##",
    ]


def test_front_matter_gives_the_title() -> None:
    assert load(GUIDE.encode(), "guide.md").title == "The Guide"


def test_the_highest_heading_is_the_title_without_front_matter() -> None:
    assert load(b"## Small\n\n# Large\n", "a.md").title == "Large"
    assert load(b"no heading", "a.md").title is None


def test_snake_case_survives_in_titles() -> None:
    assert load(b"# The field `max_bytes` of __all__ #1\n", "a.md").headings == (
        Heading(1, "The field max_bytes of all #1", 0),
    )


def test_windows_line_ends_do_not_shift_headings() -> None:
    document = load(b"a\r\n\r\n# B\r\n", "a.md")
    assert document.text[document.headings[0].start :] == "# B\n"


@given(st.text("#=-`~ \n\tab>*1.[]()", max_size=300))
def test_any_markdown_gives_headings_in_order_within_the_text(source: str) -> None:
    document = load(source.encode(), "a.md")
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    assert all(0 <= start < len(document.text) for start in starts)
    assert all(1 <= heading.level <= 6 for heading in document.headings)
