from hypothesis import given
from hypothesis import strategies as st

from kowai.loaders.html import load

PAGE = """<!doctype html><html><head><title>Leave &amp; holidays</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><header>Banner</header>
<main><h1>Leave</h1><p>You have <b>30</b> days,
of which 5 move on.</p><script>alert("no")</script><template><p>hidden</p></template>
<h2>How to ask</h2><ol><li>Open the form</li><li><p>Sign it</p><ul><li>by hand</li></ul></li></ol>
<table><caption>Days</caption><tr><th>Year</th><th>Days</th></tr><tr><td>2025</td><td><p>30</p></td></tr></table>
<pre>a  b
  c</pre></main><footer>Imprint</footer></body></html>"""


def read(html: str) -> str:
    return load(html.encode(), "page.html").text


def test_a_page_reads_like_what_a_reader_sees() -> None:
    assert read(PAGE) == (
        "Leave\n\nYou have 30 days, of which 5 move on.\n\n\nHow to ask\n\n1. Open the form\n2. Sign it\n- by hand"
        "\n\nDays\n\nYear | Days\n2025 | 30\n\na  b\n  c"
    )


def test_the_title_element_is_the_title_and_else_the_highest_heading() -> None:
    assert load(PAGE.encode(), "page.html").title == "Leave & holidays"
    assert load(b"<h3>Low</h3><h2>High</h2>", "page.html").title == "High"


def test_headings_point_at_their_titles_in_the_text() -> None:
    document = load(PAGE.encode(), "page.html")
    assert [(heading.level, document.text[heading.start :].split("\n")[0]) for heading in document.headings] == [
        (1, "Leave"),
        (2, "How to ask"),
    ]


def test_without_one_main_element_the_whole_body_is_read() -> None:
    assert read("<header>Top</header><p>Text</p><main></main><footer>End</footer>") == "Top\n\nText\n\nEnd"


def test_an_empty_list_item_leaves_no_bullet_behind() -> None:
    assert read("<ul><li>one</li><li></li></ul><p>after") == "- one\n\nafter"


def test_inline_elements_do_not_cut_words() -> None:
    assert read("<p>H<sub>2</sub>O is <i>wet</i>.<br>Very.</p>") == "H2O is wet.\nVery."


def test_tables_that_only_lay_out_a_page_are_read_as_paragraphs() -> None:
    layout = "<table><tr><td><h1>Main</h1><table><tr><td>a</td><td>b</td></tr></table></td><td>Side</td></tr></table>"
    assert read(layout) == "Main\n\na | b\n\nSide"


def test_the_charset_comes_from_the_mark_the_sender_or_the_page_in_this_order() -> None:
    page = '<meta charset="windows-1251"><p>Привет</p>'
    assert load(page.encode("cp1251"), "a.html").text == "Привет"
    assert load(page.encode("koi8-r"), "a.html", charset="koi8-r").text == "Привет"
    assert load(page.encode("utf-8-sig"), "a.html", charset="koi8-r").text == "Привет"


def test_ten_megabytes_of_nesting_neither_crash_nor_lose_the_text() -> None:
    assert read("<div>" * 2_000_000 + "deep") == "deep"


def test_nested_lists_tables_and_formats_are_read_without_recursion() -> None:
    for unit in ("<ul><li>", "<table><tr><td>", "<b><p>", "<blockquote>"):
        assert "deep" in read(unit * 3_000 + "deep")


TAGS = ["<p>", "</p>", "<h1>", "</h1>", "<table>", "<tr>", "<td>", "</table>", "<ul>", "<li>", "<pre>", "</pre>"]


@given(st.lists(st.sampled_from([*TAGS, "x", "yy"])))
def test_any_soup_of_tags_gives_tidy_text_and_headings_inside_it(tags: list[str]) -> None:
    document = load("".join(tags).encode(), "soup.html")
    assert document.text == document.text.strip() or "<pre>" in tags
    assert all(document.text[heading.start :].startswith(heading.title[:1]) for heading in document.headings)
    assert sum(tag in ("x", "yy") for tag in tags) <= document.text.count("x") + document.text.count("yy")
