"""Grounding: answers of which too few sentences are supported by what they cite."""

from kowai.guards import Content, Guard, Sight


def look(content: Content) -> list[Sight]:
    share = content.supported
    if share is None or share >= content.limits.least_supported:
        return []
    return [Sight("UNSUPPORTED", 0, len(content.text), 1.0 - share)]


GROUNDING = Guard(
    summary="Answers with a smaller share of supported sentences than the policy asks for.",
    defaults={"output": "note"},
    look=look,
    sentence="The documents do not support enough of the answer, so it is withheld.",
)
