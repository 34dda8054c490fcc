"""Canary: an answer that repeats the mark in the prompt repeats the prompt."""

from kowai.guards import Content, Guard, Sight


def look(content: Content) -> list[Sight]:
    place = content.text.find(content.canary) if content.canary else -1
    return [] if place < 0 else [Sight("PROMPT_LEAK", place, place + len(content.canary))]


CANARY = Guard(
    summary="Answers that repeat what only the prompt holds.",
    defaults={"output": "refuse"},
    look=look,
    sentence="The answer repeated internal instructions, so it is withheld: ask in another way.",
)
