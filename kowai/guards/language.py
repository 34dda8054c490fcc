"""Language: questions and answers in a language that an operator has not allowed."""

from kowai.guards import Content, Guard, Sight
from kowai.labels import language_of

SHORTEST = 20  # characters below which a language is a guess


def look(content: Content) -> list[Sight]:
    allowed = content.limits.languages
    if not allowed or len(content.text) < SHORTEST:
        return []
    language = language_of(content.text)
    return [] if language is None or language in allowed else [Sight(language.upper(), 0, len(content.text))]


LANGUAGE = Guard(
    summary="Text in a language that the policy does not list; an empty list allows every language.",
    defaults={"input": "refuse", "document": "note", "output": "note"},
    look=look,
    sentence="This language is not allowed here.",
)
