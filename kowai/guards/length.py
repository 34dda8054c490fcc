"""Length: questions and answers longer than an operator wants to pay for."""

from kowai.guards import Content, Guard, Sight


def look(content: Content) -> list[Sight]:
    limits = content.limits
    longest = limits.longest_question if content.stage == "input" else limits.longest_answer
    return [Sight("TOO_LONG", longest, len(content.text))] if len(content.text) > longest else []


LENGTH = Guard(
    summary="Questions and answers that are longer than the policy's limits.",
    defaults={"input": "refuse", "output": "note"},
    look=look,
    sentence="This text is longer than is allowed here: shorten it.",
)
