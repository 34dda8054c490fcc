from kowai.prose import LINE, PARAGRAPH, Prose


def test_spaces_collapse_and_the_longest_gap_wins() -> None:
    prose = Prose()
    prose.words("  one\n two ")
    prose.words("three")
    prose.gap(LINE)
    prose.gap(PARAGRAPH)
    prose.words("four")
    assert prose.finish()[0] == "one two three\n\nfour"


def test_a_prose_of_one_line_has_spaces_for_gaps() -> None:
    prose = Prose(line=True)
    prose.words("one")
    prose.gap(PARAGRAPH)
    prose.words("two")
    assert prose.finish()[0] == "one two"


def test_a_bullet_stays_with_its_item() -> None:
    prose = Prose()
    prose.bullet("- ")
    prose.gap(PARAGRAPH)
    prose.words("item")
    assert prose.finish()[0] == "- item"


def test_a_heading_of_several_pieces_is_placed_at_its_first_word() -> None:
    prose = Prose()
    prose.words("before")
    prose.open_heading(2)
    prose.words("A ")
    prose.words("title")
    prose.close_heading()
    prose.words("after")
    text, headings = prose.finish()
    assert text == "before\n\n\nA title\n\nafter"
    assert [(heading.title, text.index("A title")) for heading in headings] == [("A title", headings[0].start)]


def test_a_heading_without_words_is_none() -> None:
    prose = Prose()
    prose.open_heading(1)
    prose.close_heading()
    assert prose.finish() == ("", ())
